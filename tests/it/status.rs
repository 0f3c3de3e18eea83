//! The status page, `/api/status` and its events, and `tributary status`, of a connector with a stream that is well, one that
//! stands still and one that is refused.

use crate::harness::airship::scenes::{all_at_once, held};
use crate::harness::airship::{Mock, Setup, service, stop, stream_keys};
use crate::harness::broker::{broker, unique_prefix};
use crate::harness::listener::{Listener, response};
use crate::harness::process::{self, Process};
use crate::harness::settings;
use crate::harness::wait::{self, GENEROUS};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use tokio::runtime::Runtime;
use tributary_mock::Handle;
use tributary_mock::airship::Config;

/// What the service says to the stream that it refuses.
const HOSTILE: &str = "<script>document.title = 'taken'</script>";

/// So many may look at the events at a time.
const MOST: usize = 16;

struct Scene {
    process: Process,
    address: SocketAddr,
    _mocks: [Handle; 2],
    _refusing: Listener,
    _runtime: Runtime,
}

#[track_caller]
fn start(test: &str) -> Scene {
    let (broker, prefix, runtime) = (broker(), unique_prefix(test), Runtime::new().unwrap());
    let mock = |airship| {
        let config = tributary_mock::Config::local(airship);
        runtime.block_on(tributary_mock::start(config)).expect("a mock")
    };
    let well = mock(Config { rate: 200.0, backlog: 100, ..all_at_once(100_000) });
    let still = mock(held(100, 50));
    let refusing = Listener::answering(|_, _| Some(response(401, "text/plain", HOSTILE.as_bytes())));
    let stream = |(name, url): (&str, String)| {
        let mut stream =
            settings::table(&stream_keys(name, &format!("{url}/api/events/"), &format!("{prefix}.{name}")));
        stream.extend(settings::table("silence = \"10m\"\npartitions = 3"));
        stream
    };
    let streams = [("well", well.url()), ("still", still.url()), ("refused", refusing.url())].map(stream);
    let process = process::tributary(&settings::file(settings::least(broker, &prefix), streams), &[]);
    let address = process.admin();
    let scene = Scene { process, address, _mocks: [well, still], _refusing: refusing, _runtime: runtime };
    wait::wait_until(GENEROUS, "all three to be as they should", || {
        let status = scene.status();
        let [well, still, refused] = [0, 1, 2].map(|number| &status["shards"][number]);
        let delivers = |shard: &Value| shard["delivered"].as_u64() > Some(0) && shard["state"] == "connected";
        delivers(well) && delivers(still) && refused["state"] == "needs an operator"
    });
    scene
}

impl Scene {
    fn status(&self) -> Value {
        let answer = self.process.get("/api/status");
        assert_eq!(answer.status, 200, "it is no probe");
        serde_json::from_str(&answer.body).expect("JSON")
    }

    /// An answer whose body may go on for ever: its head, and what follows.
    fn ask(&self, path: &str) -> (String, BufReader<TcpStream>) {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(GENEROUS)).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
        let (mut reader, mut head) = (BufReader::new(stream), String::new());
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).expect("a head"), 0, "{head}");
        }
        (head, reader)
    }
}

/// The next snapshot among chunks.
fn next_event(reader: &mut impl std::io::BufRead) -> Value {
    loop {
        let mut line = String::new();
        assert_ne!(reader.read_line(&mut line).expect("an event"), 0);
        if let Some(json) = line.strip_prefix("data:") {
            return serde_json::from_str(json).expect("JSON");
        }
    }
}

#[test]
fn the_status_tells_the_well_from_the_ill_and_holds_up_no_stop() {
    let mut scene = start("status");
    let status = scene.status();
    let [well, still, refused] = [0, 1, 2].map(|number| &status["shards"][number]);
    assert_eq!((&status["ready"], &status["kafka"]["answers"]), (&Value::Bool(false), &Value::Bool(true)));
    for shard in [well, still] {
        assert_eq!((&shard["ready"], &shard["connections"]), (&Value::Bool(true), &1.into()), "{shard}");
        assert!(shard["lag_seconds"].is_number() && shard["last_commit"].is_string(), "{shard}");
    }
    let error = &refused["last_error"];
    assert_eq!((&refused["stream"], &error["class"]), (&"refused".into(), &"unauthorized".into()));
    assert!(error["reason"].as_str().unwrap().contains(HOSTILE), "as it was said: {error}");
    let metrics = scene.process.metrics();
    let refused = ["stream=\"refused\"", "class=\"unauthorized\""];
    assert!(metrics.sum("tributary_last_error_timestamp_seconds", &refused) > 1e9);
    assert!(metrics.sum("tributary_transaction_partitions_count", &["stream=\"well\""]) >= 1.0);
    assert!(metrics.sum("tributary_transaction_partitions_sum", &["stream=\"still\""]) >= 1.0);

    let (head, _) = scene.ask("/");
    let policy = head.lines().find(|line| line.starts_with("content-security-policy:")).expect("a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(!scene.process.get("/").body.contains(HOSTILE), "the page is the same whatever streams say");

    let (head, mut events) = scene.ask("/api/status/events");
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    let first = next_event(&mut events);
    assert!(first["shards"][0].get("events_per_second").is_none(), "a rate takes two looks: {first}");
    wait::wait_until(GENEROUS, "the well one to have a rate", || {
        let event = next_event(&mut events);
        let rate = |number: usize| event["shards"][number]["events_per_second"].as_u64();
        rate(0) > Some(0) && rate(1) == Some(0)
    });
    let mut viewers: Vec<_> = (1..MOST).map(|_| scene.ask("/api/status/events")).collect();
    assert!(viewers.iter().all(|(head, _)| head.starts_with("HTTP/1.1 200")));
    assert!(scene.ask("/api/status/events").0.starts_with("HTTP/1.1 503"), "one too many");
    viewers.iter_mut().for_each(|(_, events)| drop(next_event(events)));
    scene.process.sigterm();
    assert_eq!(scene.process.wait_exit(GENEROUS).code(), Some(0), "{:#?}", scene.process.log());
}

#[test]
fn a_terminal_shows_the_status_and_says_when_nobody_answers() {
    let mut scene = start("status-cli");
    let url = format!("http://{}", scene.address);
    let mut once = process::subcommand(&["status", &url], &[]);
    assert_eq!(once.wait_exit(GENEROUS).code(), Some(0), "{:?}", once.log());
    let lines = once.log();
    assert!(lines[0].ends_with("not ready; Kafka answers"), "{lines:#?}");
    for (shard, ready) in [("well/0", "yes"), ("still/0", "yes"), ("refused/0", "NO")] {
        let row = lines.iter().find(|line| line.starts_with(shard)).expect("a row");
        assert_eq!(row.split_whitespace().nth(1), Some(ready), "{row}");
    }
    assert!(
        lines.iter().any(|line| line.starts_with("refused/0 now: ") && line.contains(HOSTILE)),
        "{lines:#?}"
    );

    let mut watching = process::subcommand(&["status", "--watch", &url], &[]);
    let blocks = |watching: &Process| watching.log().iter().filter(|line| line.starts_with("SHARD ")).count();
    wait::wait_until(GENEROUS, "three blocks", || blocks(&watching) >= 3);
    assert!(!watching.log().iter().any(|line| line.contains('\u{1b}')), "it is no terminal");
    scene.process.sigterm();
    assert_eq!(scene.process.wait_exit(GENEROUS).code(), Some(0));
    assert_eq!(watching.wait_exit(GENEROUS).code(), Some(1));
    let last = watching.log().join("\n");
    assert!(last.contains("does not answer"), "{last}");

    let mut nobody = process::subcommand(&["status", &url], &[]);
    assert_eq!(nobody.wait_exit(GENEROUS).code(), Some(1));
    let said = nobody.log().join("\n");
    assert!(said.contains("does not answer; is the connector running there"), "{said}");
}

#[test]
fn a_member_of_a_group_says_who_has_the_other_shards() {
    let mock = Mock::start(service(200));
    let mut setup = Setup::new("status-group", &mock);
    setup.streams[0].shards = 2;
    let member = |name: &str| {
        let more = format!("ownership = \"group\"\ninstance_id = \"{name}\"");
        setup.clone().with(|settings| settings.more = more).start()
    };
    // The shards that a member says are its own, and the names of those that have the others.
    let told = |process: &Process| {
        let status: Value = serde_json::from_str(&process.get("/api/status").body).expect("JSON");
        let (own, others): (Vec<_>, Vec<_>) = status["shards"]
            .as_array()
            .expect("shards")
            .iter()
            .partition(|shard| shard["owner"] == "this instance");
        assert!(own.iter().all(|shard| shard.get("held_by").is_none()), "{status}");
        let names = others.iter().filter_map(|shard| shard["held_by"].as_str().map(str::to_owned));
        (own.len(), names.collect::<Vec<_>>())
    };
    let mut first = member("one-of-two");
    wait::wait_until(GENEROUS, "the first one to have both", || told(&first) == (2, vec![]));
    let mut second = member("the-other");
    let held_by = |name: &str| (1, vec![name.to_owned()]);
    wait::wait_until(GENEROUS, "each to name the other", || {
        told(&first) == held_by("the-other") && told(&second) == held_by("one-of-two")
    });
    stop(&mut first);
    wait::wait_until(GENEROUS, "the second one to have both", || told(&second) == (2, vec![]));
    stop(&mut second);
}
