//! The Adobe half over the wire.

mod endings;
mod refusals;
mod sharing;
mod tokens;

use std::collections::HashSet;
use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{Config, End, Handle, Reader, start};
use crate::adobe::{Config as AdobeConfig, Flush, Log};
use crate::engine::fault::{Armed, Fault};

/// Settings with the fixed token `fixed`.
fn config(events: u64) -> AdobeConfig {
    AdobeConfig { events, bearer: Some("fixed".to_owned()), ..AdobeConfig::default() }
}

async fn serve(adobe: AdobeConfig) -> Handle {
    start(Config::local_adobe(adobe)).await.unwrap()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// A request for the stream, with everything that it needs.
fn request(handle: &Handle, query: &str) -> RequestBuilder {
    client()
        .get(format!("{}{}{query}", handle.url(), handle.adobe().path()))
        .bearer_auth("fixed")
        .header("Accept-Encoding", "deflate, gzip")
}

async fn open(handle: &Handle, query: &str) -> Reader {
    let response = request(handle, query).send().await.unwrap();
    assert_eq!(response.status(), 200);
    Reader::new(response)
}

/// Opens a stream once the end of the last one was noticed.
async fn reopen(handle: &Handle, query: &str) -> Reader {
    handle.adobe().wait_for(|stats| stats.open_streams == 0).await;
    open(handle, query).await
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

/// What must be delivered of `hits`, line ends included.
fn expected(log: &Log, hits: std::ops::Range<u64>) -> Vec<u8> {
    log.expected(hits).flat_map(|hit| [hit.line, b"\r\n".to_vec()].concat()).collect()
}

/// The lines of `text`, without line ends.
fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = text
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec())
        .collect();
    assert_eq!(lines.pop(), Some(Vec::new()), "half a line at the end");
    lines
}

#[tokio::test]
async fn one_connection_delivers_the_log_in_order() {
    let handle = serve(config(5_000)).await;
    let mut reader = open(&handle, "").await;
    assert!(reader.byte_lines(5_000).await == expected(&handle.adobe().log(), 0..5_000));
    let stats = handle.wait_for(|stats| stats.adobe.hits == 5_000).await.adobe;
    assert_eq!((stats.duplicates, stats.streams, stats.statuses[&200]), (0, 1, 1));
    assert_eq!(stats.by_stream[&1].hits, 5_000);
    let sent: Vec<u64> = handle.adobe().sent().iter().map(|sent| sent.hit).collect();
    assert_eq!(sent, (0..5_000).collect::<Vec<_>>());
    drop(reader);
    handle.adobe().wait_for(|stats| stats.open_streams == 0).await;
}

#[tokio::test]
async fn borders_may_be_anywhere() {
    let base = AdobeConfig { blank_every: Duration::ZERO, session_hits: 300, ..config(300) };
    for odd in [
        AdobeConfig { flush: Flush::Record, ..base.clone() },
        AdobeConfig { flush: Flush::Withheld, withhold_bytes: 1_000, ..base.clone() },
        AdobeConfig { flush_bytes: 97, ..base.clone() },
        AdobeConfig { member_bytes: 331, ..base.clone() },
        AdobeConfig { member_hits: 7, ..base.clone() },
        AdobeConfig { chunk_bytes: 5, ..base.clone() },
        AdobeConfig { flush_bytes: 41, member_bytes: 1_009, chunk_bytes: 11, ..base.clone() },
    ] {
        let handle = serve(odd).await;
        let mut reader = open(&handle, "").await;
        let (text, end) = reader.end().await;
        assert!(text == expected(&handle.adobe().log(), 0..300));
        assert_eq!((end, reader.is_whole_gzip()), (End::Complete, true));
    }
}

#[tokio::test]
async fn lines_may_end_with_a_line_feed_and_be_blank() {
    let handle = serve(AdobeConfig {
        crlf: false,
        blank_every: Duration::from_millis(5),
        hold_at: Some(2),
        ..config(4)
    })
    .await;
    let mut reader = open(&handle, "").await;
    reader.byte_lines(4).await;
    handle.adobe().release(4);
    let stats = handle.wait_for(|stats| stats.adobe.hits == 4).await;
    let text = reader.byte_lines(stats.adobe.blank_lines as usize + 4).await;
    assert!(!text.contains(&b'\r'));
    let hits: Vec<Vec<u8>> = lines(&text).into_iter().filter(|line| !line.is_empty()).collect();
    assert_eq!(hits, (0..4).map(|hit| handle.adobe().log().line(hit)).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_first_connect_begins_where_it_is_told_to() {
    let live = AdobeConfig { from_start: false, hold_at: Some(10), ..config(20) };
    let handle = serve(live).await;
    let mut reader = open(&handle, "").await;
    handle.adobe().release(20);
    assert!(reader.byte_lines(10).await == expected(&handle.adobe().log(), 10..20));
}

#[tokio::test]
async fn connections_end_by_count() {
    let handle = serve(AdobeConfig { session_hits: 7, ..config(20) }).await;
    for hits in [0..7, 7..14] {
        let (text, end) = reopen(&handle, "").await.end().await;
        assert!(text == expected(&handle.adobe().log(), hits) && end == End::Complete);
    }
}

#[tokio::test]
async fn each_name_has_hits_of_its_own() {
    let handle = serve(AdobeConfig { names: vec!["one".into(), "two".into()], ..config(50) }).await;
    for name in ["one", "two"] {
        let url = format!("{}/api/2/stream/{name}", handle.url());
        let request = client().get(url).bearer_auth("fixed").header("Accept-Encoding", "gzip");
        let mut reader = Reader::new(request.send().await.unwrap());
        let log = handle.adobe().log_of(name).unwrap();
        assert!(reader.byte_lines(50).await == expected(&log, 0..50));
    }
    let ids: HashSet<_> =
        ["one", "two"].iter().map(|name| handle.adobe().log_of(name).unwrap().id(30)).collect();
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn the_control_plane_does_what_the_handle_does() {
    let handle = serve(AdobeConfig { hold_at: Some(1), ..config(10) }).await;
    let call = async |method: reqwest::Method, path: &str, body: Value| -> Value {
        let url = format!("{}/_mock/adobe/{path}", handle.url());
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let response = client().request(method, url).body(body).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    };
    let (get, post, delete) = (reqwest::Method::GET, reqwest::Method::POST, reqwest::Method::DELETE);
    let options = call(get.clone(), "config", Value::Null).await["streams"][0]["log"].clone();
    let rebuilt = Log::new(serde_json::from_value(options).unwrap());
    assert_eq!(rebuilt.expect(7), handle.adobe().log().expect(7));
    assert_eq!(call(post.clone(), "release", json!({ "up_to": 5 })).await["readable"]["end"], 5);
    assert_eq!(call(post.clone(), "retention", json!({ "oldest": 2 })).await["readable"]["start"], 2);
    let mut reader = open(&handle, "").await;
    assert!(reader.byte_lines(3).await == expected(&handle.adobe().log(), 2..5));
    assert_eq!(call(get.clone(), "streams", Value::Null).await["connections"][0]["number"], 1);
    call(post.clone(), "disconnect/0", Value::Null).await;
    assert_eq!(reader.end().await.1, End::Complete);
    assert_eq!(call(post.clone(), "faults", json!([{ "fault": "hang" }])).await["armed"], 1);
    assert_eq!(call(get.clone(), "faults", Value::Null).await.as_array().unwrap().len(), 1);
    call(delete.clone(), "faults", Value::Null).await;
    for (path, body) in [
        ("credentials", json!({ "bearer": "new", "secrets": ["a", "b"] })),
        ("token-faults", json!({ "fault": { "status": { "code": 500 } } })),
        ("throttle", json!({ "times": 1, "retry_after": 2 })),
        ("refuse-tokens", json!({ "times": 1 })),
        ("expire-tokens", Value::Null),
        ("stream", json!({ "name": "adobe-livestream-test", "disabled": true })),
        ("redirect", json!({ "base": null })),
        ("disconnect", Value::Null),
    ] {
        call(post.clone(), path, body).await;
    }
    call(delete.clone(), "ghosts", Value::Null).await;
    call(delete, "enabled", Value::Null).await;
    assert_eq!(call(get.clone(), "sent", Value::Null).await.as_array().unwrap().len(), 3);
    assert_eq!(call(get, "stats", Value::Null).await["hits"], 3);
    assert_eq!(status(request(&handle, "")).await, 404);
}
