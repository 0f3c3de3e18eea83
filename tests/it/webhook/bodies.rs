//! Bodies of every kind, and who may send them.

use std::io::Write as _;

use super::scene::{KEY, PATH, Scene, array, event};
use super::sender::{self, gzip, head, head_of, post, send};
use crate::harness::broker::broker;

#[test]
fn each_event_arrives_once_with_its_bytes_and_what_is_none_is_a_dead_letter() {
    let mut scene = Scene::new("hook-bodies", broker());
    scene.webhook = "max_body = \"1MiB\"\nmax_buffered = \"8MiB\"".into();
    let mut instance = scene.start();
    let pretty =
        "{\n  \"id\" : \"p\",\r\n  \"type\":\"OPEN\",\"x\": 1.0e5, \"t\":\"\\u0041\\/\" }".to_owned();
    assert_eq!(instance.push(&pretty).status, 200);
    assert_eq!(instance.push(&array(0..100)).status, 200);
    let packed = gzip(array(50..150).as_bytes());
    let answer = post(instance.address, PATH, &format!("{KEY}content-encoding: gzip\r\n"), &packed).unwrap();
    assert_eq!(answer.status, 200, "half of it is known already");
    assert_eq!(instance.push("[]").status, 200);
    let mixed = format!("[{}, 17,{{\"type\":\"OPEN\"}} ,\"text\", {}]", event(150), event(151));
    assert_eq!(instance.push(&mixed).status, 200, "the rest is carried");
    for (body, why) in
        [("garbage", "not JSON"), ("[{},", "not JSON"), ("17", "neither an object nor"), ("", "empty")]
    {
        let answer = instance.push(body);
        assert_eq!(answer.status, 400, "{body:?}");
        assert!(answer.text.contains(why), "{}", answer.text);
    }
    let torn = &packed[..packed.len() / 2];
    let answer = post(instance.address, PATH, &format!("{KEY}content-encoding: gzip\r\n"), torn).unwrap();
    assert_eq!(answer.status, 400);
    let chunked = format!(
        "{}5\r\n[{{\"id\r\n12\r\n\":\"c\",\"type\":\"O\"}}]\r\n0\r\n\r\n",
        head(PATH, &format!("{KEY}transfer-encoding: chunked\r\n"))
    );
    assert_eq!(send(instance.address, chunked.as_bytes()).unwrap().status, 200);

    let mut expected: Vec<String> = (0..152).map(event).collect();
    expected.extend([pretty, "{\"id\":\"c\",\"type\":\"O\"}".to_owned()]);
    expected.sort_unstable();
    scene.wait_for(expected.len());
    let mut letters: Vec<(String, String)> = scene
        .dead_letters(7)
        .iter()
        .map(|letter| {
            let value = letter.value.clone().unwrap_or_default();
            let text = if value == torn { "torn".to_owned() } else { letter.text().to_owned() };
            (letter.header("tributary-reason").unwrap().to_owned(), text)
        })
        .collect();
    letters.sort_unstable();
    let letter = |reason: &str, text: &str| (reason.to_owned(), text.to_owned());
    let mut wanted = vec![
        letter("not_an_object", "17"),
        letter("not_an_object", "17"),
        letter("no_id", "{\"type\":\"OPEN\"}"),
        letter("not_an_object", "\"text\""),
        letter("not_an_object", "garbage"),
        letter("not_an_object", "[{},"),
        letter("not_an_object", "torn"),
    ];
    wanted.sort_unstable();
    assert_eq!(letters, wanted);
    let metrics = instance.process.metrics();
    assert_eq!(metrics.get("tributary_webhook_requests_total{status=\"200\"}"), Some(6.0));
    assert_eq!(metrics.get("tributary_webhook_requests_total{status=\"400\"}"), Some(5.0));
    assert_eq!(metrics.sum("tributary_duplicates_dropped_total", &[]), 50.0);
    instance.stop();
    let found: Vec<String> =
        scene.counted().into_iter().flat_map(|(text, count)| vec![text; count]).collect();
    assert_eq!(found, expected);
    // Another start goes on where this one was.
    let mut again = scene.start();
    assert_eq!(again.push(&array(150..160)).status, 200);
    scene.wait_for(expected.len() + 8);
    again.stop();
    assert_eq!(scene.counted().values().sum::<usize>(), expected.len() + 8);
}

#[test]
fn what_is_too_large_or_encoded_in_another_way_is_refused() {
    let mut scene = Scene::new("hook-large", broker());
    scene.webhook = "max_body = \"64KiB\"\nmax_buffered = \"1MiB\"".into();
    scene.stream = "max_line = \"10KiB\"".into();
    let mut instance = scene.start();
    let spaces = vec![b' '; 65 << 10];
    assert_eq!(post(instance.address, PATH, KEY, &spaces).unwrap().status, 413);
    let chunks = format!("{}10001\r\n", head(PATH, &format!("{KEY}transfer-encoding: chunked\r\n")));
    let chunked = [chunks.as_bytes(), &spaces, b"\r\n0\r\n\r\n"].concat();
    assert_eq!(send(instance.address, &chunked).unwrap().status, 413, "no length was said");
    let zipped = format!("{KEY}content-encoding: gzip\r\n");
    let before = instance.process.rss_bytes();
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let nested = gzip(&vec![b'['; 60 << 10]);
    assert_eq!(post(instance.address, PATH, &zipped, &bomb[..60 << 10]).unwrap().status, 413);
    assert_eq!(post(instance.address, PATH, &zipped, &nested).unwrap().status, 400);
    assert!(instance.process.rss_bytes() < before + (32 << 20), "the bomb was not inflated");
    for encoding in ["br", "gzip, gzip", "deflate"] {
        let lines = format!("{KEY}content-encoding: {encoding}\r\n");
        assert_eq!(post(instance.address, PATH, &lines, b"{}").unwrap().status, 415, "{encoding}");
    }
    // An event above `max_line` is a dead letter, and what is beside it is carried.
    let long = format!("{{\"id\":\"long\",\"x\":\"{}\"}}", "y".repeat(20 << 10));
    assert_eq!(instance.push(&format!("[{},{long}]", event(1))).status, 200);
    scene.wait_for(1);
    let letters = scene.dead_letters(2);
    let letter = letters.iter().find(|letter| letter.text().starts_with("{\"id\":\"long\""));
    let letter = letter.unwrap_or_else(|| panic!("{letters:?}"));
    assert_eq!(letter.header("tributary-reason"), Some("line_too_long"));
    assert_eq!(letter.text(), &long[..10 << 10], "its head");
    assert_eq!(letter.header("tributary-length"), Some(&*long.len().to_string()), "{letter:?}");
    instance.stop();
    assert_eq!(scene.found().len(), 1);
}

#[test]
fn only_who_has_a_secret_may_push_and_nobody_is_told_why_not() {
    let scene = Scene::new("hook-access", broker());
    let mut instance = scene.start();
    let answers: Vec<_> = [
        "",
        "x-key: \r\n",
        "x-key: open\r\n",
        "x-key: old\r\nx-key: old\r\n",
        "authorization: Basic b2xkOg==\r\n",
    ]
    .iter()
    .map(|lines| post(instance.address, PATH, lines, event(1).as_bytes()).unwrap())
    .collect();
    for answer in &answers {
        assert_eq!(answer.status, 401, "{}", answer.text);
        let without_date = |text: &str| {
            text.lines().filter(|line| !line.starts_with("date")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(without_date(&answer.text), without_date(&answers[0].text), "whatever was wrong");
    }
    assert_eq!(post(instance.address, "/other", KEY, b"{}").unwrap().status, 404);
    assert_eq!(post(instance.address, "/push/", KEY, b"{}").unwrap().status, 404);
    let get = format!("GET {PATH} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{KEY}\r\n");
    let refused = send(instance.address, get.as_bytes()).unwrap();
    assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")));
    assert_eq!(
        post(instance.address, &format!("{PATH}?a=b"), "x-key: old\r\n", event(2).as_bytes()).unwrap().status,
        200
    );
    scene.wait_for(1);
    instance.stop();
    assert_eq!(scene.counted().into_keys().collect::<Vec<_>>(), [event(2)]);
    assert!(!instance.process.log().iter().any(|line| line.contains("sesame")), "no secret is logged");
}

/// What does not arrive whole is not stored, and a request inside another one is none.
#[test]
fn bodies_that_are_cut_or_lie_about_their_length_leave_nothing_behind() {
    let scene = Scene::new("hook-cut", broker());
    let mut instance = scene.start();
    let body = array(0..10);
    let whole = [head_of(PATH, KEY, body.len()).as_bytes(), body.as_bytes()].concat();
    for at in [1, 30, whole.len() - body.len(), whole.len() - 5, whole.len() - 1] {
        let mut stream = sender::connect(instance.address).unwrap();
        stream.write_all(&whole[..at]).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // Whatever is said to a sender that is gone, it is not that something is stored.
        assert!(!sender::answer(&mut stream).is_ok_and(|answer| answer.status == 200), "cut at {at}");
    }
    // Shorter than it is: the rest is no second request, since the connection ends.
    let short = [head_of(PATH, KEY, body.len() - 1).as_bytes(), body.as_bytes()].concat();
    assert_eq!(send(instance.address, &short).unwrap().status, 400);
    let inner = head_of(PATH, KEY, event(99).len()) + &event(99);
    let lines = format!("{KEY}transfer-encoding: chunked\r\ncontent-length: {}\r\n", inner.len() + 5);
    let smuggled = head(PATH, &lines) + "0\r\n\r\n" + &inner;
    // Either it is refused, or the body ends with its last chunk and the connection with the answer.
    let answer = send(instance.address, smuggled.as_bytes());
    assert!(!answer.is_ok_and(|answer| answer.status == 200 || answer.text.matches("HTTP/1.1").count() > 1));
    for lines in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: -1\r\n",
        "transfer-encoding: chunked, identity\r\n",
    ] {
        let answer = send(instance.address, (head(PATH, &format!("{KEY}{lines}")) + &event(98)).as_bytes());
        assert!(!answer.is_ok_and(|answer| answer.status == 200), "{lines:?}");
    }
    assert_eq!(instance.push(&event(1)).status, 200, "others are answered");
    scene.wait_for(1);
    instance.stop();
    assert_eq!(scene.counted().into_keys().collect::<Vec<_>>(), [event(1)]);
}

/// Whoever sent it is gone before the answer: it is there all the same.
#[test]
fn a_body_is_stored_although_nobody_waits_for_the_answer() {
    let scene = Scene::new("hook-gone", broker());
    let mut instance = scene.start();
    for n in 0..20 {
        let body = event(n);
        let mut stream = sender::connect(instance.address).unwrap();
        stream.write_all((head_of(PATH, KEY, body.len()) + &body).as_bytes()).unwrap();
        // Without a pause: a reset follows at once where the answer comes too late.
        drop(stream);
    }
    scene.wait_for(20);
    instance.stop();
    assert_eq!(scene.counted().len(), 20);
}

/// The largest number of events that one body may have.
const MOST: usize = 5_000;

/// All events of a request wait at once, so as many as a request may have must fit, also of several requests.
#[test]
fn as_many_events_as_a_body_may_have_are_stored_and_one_more_is_refused() {
    let scene = Scene::new("hook-many", broker());
    let mut instance = scene.start();
    std::thread::scope(|scope| {
        for part in 0..3 {
            let instance = &instance;
            scope.spawn(move || {
                let body = array(part * MOST..(part + 1) * MOST);
                assert_eq!(instance.push(&body).status, 200);
            });
        }
    });
    let answer = instance.push(&array(0..=MOST));
    assert_eq!(
        (answer.status, answer.text.contains("more than 5000 events")),
        (413, true),
        "{}",
        answer.text
    );
    scene.wait_for(3 * MOST);
    instance.stop();
    let mut found: Vec<(String, usize)> = scene.counted().into_iter().collect();
    found.sort_unstable();
    let mut expected: Vec<(String, usize)> = (0..3 * MOST).map(|n| (event(n), 1)).collect();
    expected.sort_unstable();
    assert!(found == expected, "{} of {}", found.len(), expected.len());
}
