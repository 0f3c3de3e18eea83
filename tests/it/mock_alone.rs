//! `tributary mock` as somebody starts it who wants to see events: without flags, asked as the services' documents show.

use crate::harness::airship::{LIMIT, RUNTIME};
use crate::harness::broker::free_port;
use crate::harness::process::{self, Process};
use crate::harness::wait;
use flate2::write::MultiGzDecoder;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use std::io::Write as _;

/// Events that are waited for.
const EVENTS: usize = 5;

/// The mock with its defaults but for the port, which is taken by others perhaps; and its address.
#[track_caller]
fn start() -> (Process, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let mock = process::subcommand(&["mock", "--listen", &address], &[]);
    mock.wait_for_log("mock Adobe token service", LIMIT);
    (mock, format!("http://{address}"))
}

/// The first lines of a stream that are not blank.
#[track_caller]
fn read(request: RequestBuilder) -> Vec<Value> {
    RUNTIME.block_on(async {
        let read = async {
            let mut response = request.header("Accept-Encoding", "gzip").send().await.expect("an answer");
            assert_eq!(response.status(), 200);
            let mut decoder = MultiGzDecoder::new(Vec::new());
            loop {
                let chunk = response.chunk().await.expect("bytes").expect("no end");
                decoder.write_all(&chunk).expect("gzip");
                decoder.flush().expect("gzip");
                let text = decoder.get_ref();
                let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                let lines = text[..whole].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
                let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
                if lines.len() >= EVENTS {
                    // A hit may hold a character that is cut, as the service cuts them.
                    let parse =
                        |line: &&[u8]| serde_json::from_str(&String::from_utf8_lossy(line)).expect("JSON");
                    return lines[..EVENTS].iter().map(parse).collect();
                }
            }
        };
        tokio::time::timeout(LIMIT, read).await.expect("events come by themselves")
    })
}

#[test]
fn airship_events_come_to_the_documented_request() {
    let (mock, url) = start();
    let line = mock.wait_for_log("as in the documents: curl", LIMIT);
    assert!(line.ends_with(&format!("-d '{{}}' {url}/api/events/")), "{line}");
    let request = Client::new()
        .post(format!("{url}/api/events/"))
        .basic_auth("sample_connection", Some("sample_connection"))
        .header("Accept", "application/vnd.urbanairship+x-ndjson; version=3;")
        .body("{}");
    let events = read(request);
    for event in &events {
        let text = |name: &str| event[name].as_str().unwrap_or_else(|| panic!("no {name} in {event}"));
        assert!(!text("id").is_empty() && !text("type").is_empty() && !text("offset").is_empty(), "{event}");
        let processed: jiff::Timestamp = text("processed").parse().expect("a time");
        let age = jiff::Timestamp::now().duration_since(processed);
        assert!(!age.is_negative() && age < wait::GENEROUS.try_into().unwrap(), "{age:?}: {event}");
    }
}

#[test]
fn adobe_hits_come_to_the_documented_request() {
    let (_mock, url) = start();
    let client = Client::new();
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", "id"),
        ("client_secret", "secret"),
        ("scope", "openid"),
    ];
    let token = client.post(format!("{url}/ims/token/v3")).form(&fields).send();
    let answer: Value =
        RUNTIME.block_on(async { token.await.expect("an answer").json().await.expect("JSON") });
    let request = client
        .get(format!("{url}/api/1/stream/adobe-livestream-test"))
        .header("x-api-key", "id")
        .bearer_auth(answer["access_token"].as_str().expect("a token"));
    for hit in read(request) {
        assert!(hit.get("hitIdHigh").is_some() && hit["receivedTimeGMT"].is_u64(), "{hit}");
    }
}
