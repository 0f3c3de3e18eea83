//! The protocol in order: events, offsets, keep-alives, redirects, limits, refusals.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::airship::{Encoding, Epoch, OffsetStyle, OnBadOffset, Pin, Selection, Subscription};
use crate::airship::{Endpoint, Fault};
use crate::engine::feed::ENDLESS;

fn config(events: u64) -> AirshipConfig {
    AirshipConfig { events, ..AirshipConfig::default() }
}

#[tokio::test]
async fn earliest_delivers_the_log() {
    let handle = serve(AirshipConfig { duplicate_every: 10, ..config(2_000) }).await;
    let mut reader = open_earliest(&handle).await;
    assert_eq!(reader.lines(2_000).await, expected(&handle, 0..2_000));
    let stats = handle.wait_for(|stats| stats.events == 2_000).await;
    assert_eq!((stats.duplicates, stats.open_streams, stats.statuses[&200]), (200, 1, 1));
    drop(reader);
    handle.wait_for(|stats| stats.open_streams == 0 && stats.open_connections == 0).await;
}

#[tokio::test]
async fn resume_begins_after_the_offset() {
    for offsets in [OffsetStyle::Decimal, OffsetStyle::Base64] {
        let handle = serve(AirshipConfig { offsets, ..config(1_200) }).await;
        let offset = handle.log().offset(99);
        let mut reader = open(&handle, json!({ "resume_offset": offset })).await;
        assert_eq!(reader.lines(1_100).await, expected(&handle, 100..1_200));
    }
}

#[tokio::test]
async fn latest_begins_with_what_comes_next() {
    let handle = serve(AirshipConfig { hold_at: Some(50), ..config(100) }).await;
    for body in [json!({}), json!({ "start": "LATEST" })] {
        let mut reader = open(&handle, body).await;
        let next = handle.stats().events;
        handle.wait_for(|stats| stats.open_streams == 1).await;
        let from = if next == 0 { 50 } else { 60 };
        handle.release(from + 10);
        assert_eq!(reader.lines(10).await, expected(&handle, from..from + 10));
        drop(reader);
        handle.wait_for(|stats| stats.open_streams == 0).await;
    }
}

#[tokio::test]
async fn retention_decides_what_is_earliest_and_expired() {
    for (expired, first) in [(OnBadOffset::Earliest, Some(70)), (OnBadOffset::Reject, None)] {
        let handle = serve(AirshipConfig { retention_events: 30, expired, ..config(100) }).await;
        let mut reader = open_earliest(&handle).await;
        assert_eq!(reader.lines(30).await, expected(&handle, 70..100));
        let body = json!({ "resume_offset": handle.log().offset(5) });
        match first {
            Some(first) => {
                assert_eq!(open(&handle, body).await.lines(30).await, expected(&handle, first..100));
            }
            None => assert_eq!(status(&handle, body).await, 400),
        }
    }
}

#[tokio::test]
async fn bad_offsets_follow_their_policies() {
    let strict = serve(config(10)).await;
    for body in [json!({ "resume_offset": "nonsense" }), json!({ "unknown": 1 })] {
        assert_eq!(status(&strict, body).await, 400);
    }
    let lax = serve(AirshipConfig { malformed: OnBadOffset::Earliest, ..config(10) }).await;
    assert_eq!(
        open(&lax, json!({ "resume_offset": "nonsense" })).await.lines(10).await,
        expected(&lax, 0..10)
    );
    let both = json!({ "resume_offset": lax.log().offset(3), "start": "EARLIEST" });
    assert_eq!(open(&lax, both).await.lines(6).await, expected(&lax, 4..10));
}

#[tokio::test]
async fn filters_and_partitions_apply_after_the_offset() {
    let handle = serve(config(3_000)).await;
    let body = json!({
        "resume_offset": handle.log().offset(99),
        "subset": { "type": "PARTITION", "count": 2, "selection": 1 },
        "filters": [{ "types": ["OPEN", "SEND"] }],
    });
    let selection = Subscription::parse(Endpoint::Events, body.to_string().as_bytes()).unwrap().selection;
    let lines: Vec<String> = selection
        .expected(handle.log(), 100..3_000)
        .map(|line| String::from_utf8(line.line).unwrap() + "\n")
        .collect();
    assert!(lines.len() > 100);
    assert_eq!(open(&handle, body).await.lines(lines.len()).await, lines.concat());
    assert_eq!(Selection::all().expected(handle.log(), 0..10).count(), 10);
}

#[tokio::test]
async fn compliance_has_its_own_scheme_and_events() {
    let handle = serve(config(2_000)).await;
    for path in ["/api/events/general", "/api/events/general/"] {
        let client = reqwest::Client::new();
        let url = format!("{}{path}", handle.url());
        let request = |body: &str| client.post(&url).header("X-UA-Appkey", "app").body(body.to_owned());
        let body = r#"{"start":"EARLIEST","filters":[{"device_types":["sms"]}]}"#;
        assert_eq!(request(body).bearer_auth("token").send().await.unwrap().status(), 401);
        let response = request(body).basic_auth("app", Some("secret")).send().await.unwrap();
        let mut reader = Reader::new(response);
        let text = reader.lines(20).await;
        for line in text.lines().take(20) {
            let event: Value = serde_json::from_str(line).unwrap();
            assert_eq!(
                (&event["type"], &event["device"]["device_type"]),
                (&json!("COMPLIANCE"), &json!("SMS"))
            );
        }
    }
    let seen = handle.stats().requests;
    assert_eq!(seen[0].scheme.as_deref(), Some("bearer"));
    assert_eq!(seen[1].scheme.as_deref(), Some("basic"));
    assert!(!format!("{seen:?}").contains("secret"));
}

#[tokio::test]
async fn keep_alives_are_blank_lines_or_offset_updates() {
    let keep_alive = Duration::from_millis(5);
    let handle = serve(AirshipConfig { keep_alive, ..config(3) }).await;
    let text = open_earliest(&handle).await.lines(5).await;
    assert!(text.ends_with("\n\n\n"), "{text}");
    let body = json!({ "start": "EARLIEST", "enable_offset_updates": true });
    let text = open(&handle, body).await.lines(4).await;
    let update: Value = serde_json::from_str(text.lines().nth(3).unwrap()).unwrap();
    assert_eq!(update["type"], "OFFSET_UPDATE");
    assert_eq!(update["offset"], handle.log().offset(2));
    assert!(update.get("id").is_none() && update.get("body").is_none());
    let stats = handle.stats();
    assert!(stats.keep_alives >= 2 && stats.offset_updates >= 1);
}

#[tokio::test]
async fn offset_updates_pass_over_filtered_events() {
    let handle = serve(AirshipConfig { keep_alive: Duration::from_millis(5), ..config(500) }).await;
    let body = json!({
        "start": "EARLIEST",
        "enable_offset_updates": true,
        "filters": [{ "users": [{ "contact_id": "nobody" }] }],
    });
    let mut reader = open(&handle, body).await;
    handle.wait_for(|stats| stats.filtered == 500).await;
    let text = reader.lines(3).await;
    let update: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(update["offset"], handle.log().offset(499));
}

#[tokio::test]
async fn live_events_come_as_time_goes_by() {
    let handle = serve(AirshipConfig { rate: 2_000.0, backlog: 10, ..config(100) }).await;
    let mut reader = open_earliest(&handle).await;
    assert_eq!(reader.lines(100).await, expected(&handle, 0..100));
}

#[tokio::test]
async fn members_encodings_and_line_ends() {
    let members = serve(AirshipConfig { member_events: 100, ..config(1_500) }).await;
    let mut reader = open_earliest(&members).await;
    assert_eq!(reader.lines(1_500).await, expected(&members, 0..1_500));
    let headers =
        reader.raw.windows(10).filter(|window| window.starts_with(&[31, 139, 8, 0, 0, 0, 0, 0, 0])).count();
    assert_eq!(headers, 15);

    let plain = serve(AirshipConfig { encoding: Encoding::Auto, crlf: true, ..config(600) }).await;
    let mut reader = open_earliest(&plain).await;
    assert!(reader.decoder.is_none());
    assert_eq!(reader.lines(600).await, expected(&plain, 0..600).replace('\n', "\r\n"));

    let crlf = serve(AirshipConfig { crlf: true, ..config(600) }).await;
    assert_eq!(open_earliest(&crlf).await.lines(600).await, expected(&crlf, 0..600).replace('\n', "\r\n"));
}

#[tokio::test]
async fn sessions_end_in_order() {
    let handle = serve(AirshipConfig { session_events: 700, ..config(2_000) }).await;
    let mut reader = open_earliest(&handle).await;
    let (text, end) = reader.end().await;
    assert_eq!(end, End::Complete);
    assert!(reader.is_whole_gzip());
    assert_eq!(String::from_utf8(text).unwrap(), expected(&handle, 0..700));
}

#[tokio::test]
async fn live_partitions_share_the_log() {
    let handle = serve(AirshipConfig { rate: 5_000.0, duplicate_every: 5, ..config(1_000) }).await;
    let mut lines = Vec::new();
    for selection in 0..2 {
        let subset = json!({ "type": "PARTITION", "count": 2, "selection": selection });
        let mut reader = open(&handle, json!({ "start": "EARLIEST", "subset": subset })).await;
        handle.wait_for(|stats| stats.events + stats.filtered == 1_000 * (selection + 1)).await;
        handle.disconnect(Fault::Eof {});
        let (text, end) = reader.end().await;
        assert_eq!(end, End::Complete);
        lines.extend(String::from_utf8(text).unwrap().lines().map(|line| format!("{line}\n")));
    }
    lines.sort();
    let log = expected(&handle, 0..1_000);
    let mut whole: Vec<&str> = log.split_inclusive('\n').collect();
    whole.sort_unstable();
    assert_eq!(lines, whole);
}

#[tokio::test]
async fn too_many_streams_are_402_until_the_slot_is_free() {
    let linger = Duration::from_secs(3_600);
    let handle = serve(AirshipConfig { max_streams: 1, linger, ..config(10) }).await;
    let reader = open_earliest(&handle).await;
    assert_eq!(status(&handle, json!({})).await, 402);
    handle.disconnect(Fault::Eof {});
    handle.wait_for(|stats| stats.open_streams == 0).await;
    drop(reader);
    let reader = open_earliest(&handle).await;
    drop(reader);
    handle.wait_for(|stats| stats.open_streams == 0).await;
    assert_eq!(status(&handle, json!({})).await, 402);
}

#[tokio::test]
async fn pinning_redirects_once() {
    let handle = serve(AirshipConfig { pin: Pin::Location, pin_cookies: 2, ..config(5) }).await;
    let body = json!({ "start": "EARLIEST" });
    let response = request(&handle, &body).send().await.unwrap();
    assert_eq!(response.status(), 307);
    assert_eq!(response.headers()["location"], format!("{}/api/events", handle.url()));
    let cookies: Vec<&str> = response
        .headers()
        .get_all("set-cookie")
        .iter()
        .map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap())
        .collect();
    let pinned = || request(&handle, &body).header("Cookie", cookies.join("; ")).send();
    let response = pinned().await.unwrap();
    assert_eq!(Reader::new(response).lines(5).await, expected(&handle, 0..5));
    handle.expire_cookies();
    assert_eq!(pinned().await.unwrap().status(), 307);

    let looping = serve(AirshipConfig { pin: Pin::Loop, ..config(5) }).await;
    for _ in 0..3 {
        assert_eq!(status(&looping, json!({})).await, 307);
    }
}

#[tokio::test]
async fn refusals_name_their_reason() {
    let handle = serve(AirshipConfig { token: Some("token".to_owned()), ..config(10) }).await;
    handle.arm(crate::airship::Armed::now(Fault::Status {
        code: 403,
        body: Default::default(),
        message: None,
        retry_after: None,
    }));
    let response = request(&handle, &json!({})).send().await.unwrap();
    assert_eq!(response.status(), 403);
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["error"], "Requested event types to which client is not entitled COMPLIANCE,TAG_CHANGE");
    assert_eq!((&error["ok"], &error["error_code"]), (&json!(false), &json!(40_300)));
    handle.rotate_token("other");
    assert_eq!(status(&handle, json!({})).await, 401);
    let client = reqwest::Client::new();
    assert_eq!(client.get(format!("{}/api/events", handle.url())).send().await.unwrap().status(), 405);
    assert_eq!(client.post(format!("{}/api/other", handle.url())).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn the_control_plane_does_what_the_handle_does() {
    let handle = serve(AirshipConfig { hold_at: Some(0), ..config(1_000) }).await;
    let client = reqwest::Client::new();
    let call = |method: reqwest::Method, path: &str, body: Value| {
        let request = client.request(method, format!("{}/_mock/{path}", handle.url()));
        async move {
            let response = request.body(body.to_string()).send().await.unwrap();
            (response.status().as_u16(), response.json::<Value>().await.unwrap())
        }
    };
    use reqwest::Method;
    let post = |path, body| call(Method::POST, path, body);
    let get = |path| call(Method::GET, path, json!({}));

    let (_, config) = get("config").await;
    let options = serde_json::from_value(config["log"].clone()).unwrap();
    assert_eq!(crate::airship::Log::new(options).options(), handle.log().options());
    assert_eq!(post("release", json!({ "up_to": 100 })).await.1["readable"]["end"], 100);
    assert_eq!(post("retention", json!({ "oldest": 40 })).await.1["readable"]["start"], 40);
    let faults = json!([{ "fault": "eof", "at_position": 70 }, { "fault": { "status": { "code": 503 } } }]);
    assert_eq!(post("faults", faults).await, (200, json!({ "armed": 2 })));
    assert_eq!(get("faults").await.1.as_array().unwrap().len(), 2);
    assert_eq!(post("faults", json!([{ "fault": "eof" }, { "fault": "nonsense" }])).await.0, 400);
    assert_eq!(status(&handle, json!({})).await, 503);
    let (text, _) = open_earliest(&handle).await.end().await;
    assert_eq!(String::from_utf8(text).unwrap(), expected(&handle, 40..70));
    let (_, stats) = get("stats").await;
    assert_eq!(stats["faults"], json!({ "eof": 1, "status": 1 }));
    assert_eq!(stats["fired"][1]["position"], 70);
    assert_eq!(stats["statuses"], json!({ "200": 1, "503": 1 }));
    assert_eq!(post("credentials", json!({ "token": "new" })).await.0, 200);
    assert_eq!(status(&handle, json!({})).await, 401);
    assert_eq!(call(Method::DELETE, "faults", json!({})).await.0, 200);
    assert_eq!(post("reset", json!({})).await.0, 200);
    assert_eq!(handle.stats().events, 0);
    assert_eq!(get("nothing").await.0, 404);
}

#[tokio::test]
async fn shutdown_closes_everything() {
    let handle = serve(config(10)).await;
    let addr = handle.addr();
    let mut reader = open_earliest(&handle).await;
    reader.lines(10).await;
    handle.shutdown().await;
    assert_eq!(reader.end().await.1, End::Broken);
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[test]
fn flags_have_the_defaults_of_the_struct() {
    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        mock: Config,
    }
    let parse = |args: &[&str]| <Command as clap::Parser>::try_parse_from(args).map(|command| command.mock);
    // The one exception: a test's first connect begins at hit 0.
    let adobe = crate::adobe::Config { from_start: false, ..Default::default() };
    let counted = ["mock", "--events=1000000", "--adobe-events=1000000"];
    assert_eq!(parse(&counted).unwrap(), Config { adobe, ..Config::default() });
    assert_eq!(parse(&[&counted[..], &["--adobe-from-start"]].concat()).unwrap(), Config::default());
    // Alone it makes events for ever, of which none is of the future.
    let alone = parse(&["mock"]).unwrap();
    assert_eq!((alone.airship.rate, alone.airship.epoch, alone.airship.events), (10.0, Epoch::Now, ENDLESS));
    assert_eq!((alone.adobe.rate, alone.adobe.epoch, alone.adobe.events), (10.0, Epoch::Now, ENDLESS));
    let both = parse(&["mock", "--events=5", "--rate=3", "--epoch=now"]).unwrap().airship;
    assert_eq!((both.rate, both.epoch, both.events), (3.0, Epoch::Now, 5), "what is given counts");
    let given = parse(&["mock", "--rate=5", "--epoch=now", "--fault=eof@3*0"]).unwrap();
    assert_eq!(given.airship.rate, 5.0);
    assert_eq!(given.airship.faults[0].after_events, 3);
    assert!(parse(&["mock", "--fault=nonsense"]).is_err());
}
