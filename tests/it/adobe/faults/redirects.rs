//! Redirects: those of the service arrive with everything that is needed, loops end, and strangers get nothing.

use crate::harness::adobe::scenes::{SECRET, Setup, all_at_once, held};
use crate::harness::listener::{Heard, Listener};
use crate::harness::wait::{self, GENEROUS};
use tributary_mock::adobe::{Config, Seen};
use tributary_mock::fault::{Armed, Fault};

const HITS: u64 = 600;
const CODES: [u16; 5] = [301, 302, 303, 307, 308];

/// The requests for streams, first or second port.
fn requests(scene: &crate::harness::adobe::scenes::Scene, name: &str, second: bool) -> Vec<Seen> {
    let of_streams = |seen: &Seen| seen.second == second && seen.path.starts_with("/api/");
    scene.stats(name).requests.into_iter().filter(of_streams).collect()
}

#[test]
fn every_code_takes_headers_and_query_along_and_each_connect_begins_anew() {
    let each = CODES.iter().flat_map(|code| [(*code, true), (*code, false)]);
    let name = |code: u16, with_query: bool| format!("r{code}{}", if with_query { "q" } else { "" });
    let setup = each.clone().fold(Setup::new("redirects"), |setup, (redirect_code, redirect_with_query)| {
        let config = Config {
            second_listen: Some("127.0.0.1:0".into()),
            redirect_code,
            redirect_with_query,
            needs_api_key: true,
            faults: vec![Armed::after(200, Fault::Eof {}).times(2)],
            ..all_at_once(HITS)
        };
        setup.add(&name(redirect_code, redirect_with_query), config, "smoothing = true")
    });
    let mut scene = setup.start();
    scene.finish_all();
    for (code, with_query) in each {
        let name = name(code, with_query);
        let (first, second) = (requests(&scene, &name, false), requests(&scene, &name, true));
        let stats = scene.stats(&name);
        assert_eq!((stats.faults["eof"], stats.streams), (2, 3), "{name}");
        assert_eq!((first.len(), second.len()), (3, 3), "{name}: each connect begins at the first address");
        assert!(first.iter().all(|seen| seen.status == code), "{name}: {first:#?}");
        for (asked, seen) in first.iter().zip(&second) {
            assert_eq!((seen.status, seen.method.as_str()), (200, "GET"), "{name}");
            assert_eq!(seen.scheme.as_deref(), Some("bearer"), "{name}");
            assert!(seen.has_api_key, "{name}");
            assert_eq!(seen.accept_encoding.as_deref(), Some("gzip"), "{name}");
            assert_eq!(seen.query, [("maxConnections", "1"), ("smoothing", "1")].map(owned), "{name}");
            assert_eq!((&seen.query, &seen.path), (&asked.query, &asked.path), "{name}");
        }
        assert_eq!(scene.lines(&name, "\"class\":\"redirect\""), Vec::<String>::new(), "no failure");
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn relative_ones_and_five_hops_are_followed_and_a_loop_ends() {
    let name = &Config::default().names[0];
    let relative = vec![
        Armed::now(Fault::redirect(302, format!("../../2/stream/{name}"))),
        Armed::now(Fault::redirect(302, format!("/api/1/stream/{name}"))),
        Armed::now(Fault::redirect(302, "?maxConnections=1&beta=true")),
        Armed::now(Fault::redirect(302, name.as_str())),
        // No address at all: the same one again.
        Armed::now(Fault::Redirect { code: 307, location: None, cookies: Vec::new() }),
    ];
    let endless = vec![Armed::now(Fault::redirect(302, format!("/api/1/stream/{name}"))).times(0)];
    let mut scene = Setup::new("hops")
        .add("five", Config { faults: relative, ..all_at_once(HITS) }, "")
        .add("endless", Config { faults: endless, ..all_at_once(HITS) }, "")
        .start();
    wait::wait_until(GENEROUS, "two attempts", || scene.reconnects("endless", "redirect") >= 2.0);
    assert_eq!(scene.readiness("endless"), (false, "needs an operator".to_owned()));
    scene.wait_mock("five", "a stream", |stats| stats.streams == 1);
    scene.mock("endless").disarm();
    scene.finish_all();

    let stats = scene.stats("five");
    assert_eq!((stats.faults["redirect"], stats.streams), (5, 1));
    let paths: Vec<_> = requests(&scene, "five", false).into_iter().map(|seen| seen.path).collect();
    let (one, two) = (format!("/api/1/stream/{name}"), format!("/api/2/stream/{name}"));
    assert_eq!(paths, [&one, &two, &one, &one, &one, &one].map(String::from));

    let failures = scene.lines("endless", "more than 5 redirects in a row").len() as u64;
    let hops = scene.stats("endless").faults["redirect"];
    assert!(failures >= 2 && hops <= (failures + 1) * 6, "{hops} requests in {failures} attempts");
    assert!(scene.pauses("endless", "redirect").iter().all(|ms| *ms >= 400), "slowly");
}

#[test]
fn a_stranger_gets_nothing() {
    let stranger = Listener::closing();
    let address = stranger.address();
    let port = address.port();
    let locations = [
        format!("http://{address}/api/1/stream/x"),
        format!("//{address}/api/1/stream/x?maxConnections=1"),
        format!("http://127.0.0.1@{address}/"),
        format!("http://127.0.0.1:{port}@{address}/"),
        format!("\\\\{address}\\api"),
        // Another name of the allowed address, and an allowed name with a tail.
        format!("http://localhost:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("https://127.0.0.2:{port}/"),
        format!("http://127.0.0.1.tail.invalid:{port}/"),
    ];
    let count = locations.len();
    let hops = locations.iter().zip(CODES.iter().cycle());
    let faults = hops.map(|(location, code)| Armed::now(Fault::redirect(*code, location.clone()))).collect();
    let setup = Setup::new("strangers").add("stream", Config { faults, ..all_at_once(HITS) }, "").add(
        "token",
        held(HITS, HITS),
        "max_connections = 4",
    );
    // With 307 and 308 a library would send the body again, and with it the client secret.
    let token = format!("http://{address}/ims/token/v3");
    let mut scene = setup.start_after(|mocks| {
        for code in CODES {
            mocks.of("token").arm_token(Armed::now(Fault::redirect(code, token.clone())));
        }
    });
    scene.wait_mock("token", "all redirects", |stats| stats.faults.get("redirect") == Some(&5));
    scene.finish_all();
    assert_eq!(scene.stats("stream").faults["redirect"], count as u64);
    let refused = scene.lines("stream", "the credential was not sent");
    assert_eq!(refused.len(), count, "{refused:#?}");
    let refused = scene.lines("token", "it redirects, which is not followed with a secret; check token_url");
    assert!(refused.len() >= 5, "{refused:#?}");
    assert_eq!(stranger.heard(), Vec::<Heard>::new(), "not so much as a connection");
}

#[test]
fn an_allowed_host_gets_the_token_and_never_the_secret() {
    let friend = Listener::closing();
    let location = format!("http://{}/elsewhere", friend.address());
    let faults = vec![Armed::now(Fault::redirect(302, location))];
    let keys = "redirect_hosts = [\"127.0.0.1\", \"127.0.0.2\"]";
    let mut scene = Setup::one("friend", Config { faults, ..all_at_once(HITS) }, keys).start();
    scene.finish_all();
    let heard = friend.heard();
    assert_eq!(heard.len(), 1, "what listens would have heard: {heard:?}");
    let head = &heard[0].head;
    assert!(head.starts_with("GET /elsewhere?maxConnections=1 HTTP/1.1"), "{head}");
    assert!(head.to_ascii_lowercase().contains("authorization: bearer mock."), "{head}");
    assert!(!format!("{heard:?}").contains(SECRET));
    assert_eq!(scene.stats("s").faults["redirect"], 1);
}
