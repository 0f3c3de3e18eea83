//! Each fault, as a client sees it, and that it was counted.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::airship::fault::{garbage_line, huge_line};
use crate::airship::{Armed, Encoding, Endpoint, ErrorBody, Fault, Subscription};

/// Where the faults strike: beyond the first segment, and not at the start of one.
const AT: u64 = 700;

async fn with_fault(fault: Fault) -> Handle {
    let faults = vec![Armed::after(AT, fault)];
    serve(AirshipConfig { events: 2_000, faults, ..AirshipConfig::default() }).await
}

/// Streams into the fault; what could be read, and the response.
async fn suffer(handle: &Handle) -> (String, End, Reader) {
    let mut reader = open_earliest(handle).await;
    let (text, end) = reader.end().await;
    (String::from_utf8_lossy(&text).into_owned(), end, reader)
}

async fn assert_fired(handle: &Handle, name: &str) {
    let stats = handle.wait_for(|stats| stats.faults.get(name) == Some(&1)).await;
    assert_eq!((stats.fired[0].position, stats.fired[0].events), (AT, AT));
}

async fn assert_goes_on(handle: &Handle) {
    let mut reader = open(handle, json!({ "resume_offset": handle.log().offset(AT - 1) })).await;
    assert_eq!(reader.lines(1_300).await, expected(handle, AT..2_000));
}

#[tokio::test]
async fn ends_between_lines() {
    for (fault, end, is_whole) in
        [(Fault::Eof {}, End::Complete, true), (Fault::MissingTrailer {}, End::Complete, false)]
    {
        let handle = with_fault(fault.clone()).await;
        let (text, ended, reader) = suffer(&handle).await;
        assert_eq!(text, expected(&handle, 0..AT));
        assert_eq!((ended, reader.is_whole_gzip()), (end, is_whole), "{fault:?}");
        assert_fired(&handle, fault.name()).await;
        assert_goes_on(&handle).await;
    }
}

#[tokio::test]
async fn ends_within_a_line() {
    for (fault, end, is_whole) in
        [(Fault::TornLine {}, End::Complete, true), (Fault::CutMidLine {}, End::Broken, false)]
    {
        let handle = with_fault(fault.clone()).await;
        let (text, ended, reader) = suffer(&handle).await;
        let torn = text.strip_prefix(&expected(&handle, 0..AT)).unwrap();
        let next = expected(&handle, AT..AT + 1);
        assert!(!torn.is_empty() && torn.len() < next.len() - 1, "{fault:?}");
        assert_eq!((ended, reader.is_whole_gzip()), (end, is_whole), "{fault:?}");
        assert_fired(&handle, fault.name()).await;
        assert_goes_on(&handle).await;
    }
}

#[tokio::test]
async fn ends_within_a_deflate_block() {
    for (fault, end) in [(Fault::TruncatedGzip {}, End::Complete), (Fault::CutMidGzip {}, End::Broken)] {
        let handle = with_fault(fault.clone()).await;
        let (text, ended, reader) = suffer(&handle).await;
        assert!(text.starts_with(&expected(&handle, 0..AT)));
        assert_eq!((ended, reader.is_whole_gzip()), (end, false), "{fault:?}");
        assert_fired(&handle, fault.name()).await;
        assert_goes_on(&handle).await;
    }
}

/// What is whole in the part that comes is what the client asked for, and may have by now.
#[tokio::test]
async fn a_block_that_is_cut_has_nothing_else() {
    let subset = json!({ "type": "PARTITION", "count": 3, "selection": 1 });
    for fault in [Fault::TruncatedGzip {}, Fault::CutMidGzip {}] {
        let handle =
            serve(AirshipConfig { events: 2_000, hold_at: Some(800), ..AirshipConfig::default() }).await;
        let selected = |range| -> String {
            let selection = Subscription::parse(
                Endpoint::Events,
                json!({ "start": "EARLIEST", "subset": subset }).to_string().as_bytes(),
            );
            let lines = selection.unwrap().selection;
            lines
                .expected(handle.log(), range)
                .map(|line| String::from_utf8(line.line).unwrap() + "\n")
                .collect()
        };
        let all = selected(0..800).lines().count() as u64;
        for after in [100, all - 2, all] {
            handle.arm(Armed::after(after, fault.clone()));
            let mut reader = open(&handle, json!({ "start": "EARLIEST", "subset": subset })).await;
            let (text, _) = reader.end().await;
            let text = String::from_utf8_lossy(&text).into_owned();
            let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
            assert!(selected(0..800).starts_with(whole), "{fault:?} after {after}");
        }
    }
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let handle = serve(AirshipConfig { events: 10, hold_at: Some(5), ..AirshipConfig::default() }).await;
    let mut socket = tokio::net::TcpStream::connect(handle.addr()).await.unwrap();
    let request = "POST /api/events HTTP/1.1\r\nHost: mock\r\nAuthorization: Bearer t\r\nX-UA-Appkey: a\r\nContent-Length: 20\r\n\r\n{\"start\":\"EARLIEST\"}";
    socket.write_all(request.as_bytes()).await.unwrap();
    handle.wait_for(|stats| stats.events == 5).await;
    handle.arm(Armed::now(Fault::Reset {}));
    let mut answer = Vec::new();
    let error = socket.read_to_end(&mut answer).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(handle.stats().faults["reset"], 1);
}

#[tokio::test]
async fn a_reset_strikes_while_events_flow() {
    let handle = with_fault(Fault::Reset {}).await;
    let (text, end, _) = suffer(&handle).await;
    assert_eq!(end, End::Broken);
    assert!(expected(&handle, 0..AT).starts_with(&text));
    assert_fired(&handle, "reset").await;
    assert_goes_on(&handle).await;
}

#[tokio::test]
async fn an_idle_stream_notices_a_fault_at_once() {
    let keep_alive = Duration::ZERO;
    let handle = serve(AirshipConfig { events: 10, keep_alive, ..AirshipConfig::default() }).await;
    let mut reader = open_earliest(&handle).await;
    reader.lines(10).await;
    handle.arm(Armed::now(Fault::CutMidLine {}));
    let (text, end) = reader.end().await;
    assert_eq!(end, End::Broken);
    assert!(text.len() > expected(&handle, 0..10).len());
}

#[tokio::test]
async fn a_fault_that_repeats_tears_every_connection() {
    let handle = serve(AirshipConfig { events: 3_000, ..AirshipConfig::default() }).await;
    handle.arm(Armed::after(400, Fault::CutMidLine {}).times(0));
    let mut text = String::new();
    let mut body = json!({ "start": "EARLIEST" });
    while text.lines().count() < 2_800 {
        let (part, end) = open(&handle, body).await.end().await;
        assert_eq!(end, End::Broken);
        let part = String::from_utf8_lossy(&part).into_owned();
        let whole = &part[..=part.rfind('\n').unwrap()];
        let last: Value = serde_json::from_str(whole.lines().last().unwrap()).unwrap();
        body = json!({ "resume_offset": last["offset"] });
        text.push_str(whole);
    }
    assert_eq!(text, expected(&handle, 0..2_800));
    handle.wait_for(|stats| stats.faults["cut_mid_line"] == 7).await;
}

#[tokio::test]
async fn a_stall_is_silence() {
    let keep_alive = Duration::from_millis(1);
    let faults = vec![Armed::after(3, Fault::Stall { ms: None })];
    let handle = serve(AirshipConfig { events: 10, keep_alive, faults, ..AirshipConfig::default() }).await;
    let mut reader = open_earliest(&handle).await;
    assert_eq!(reader.lines(3).await, expected(&handle, 0..3));
    handle.wait_for(|stats| stats.faults.contains_key("stall")).await;
    let silence = tokio::time::timeout(Duration::from_millis(100), reader.chunk()).await;
    assert!(silence.is_err());

    let faults = vec![Armed::after(3, Fault::Stall { ms: Some(20) })];
    let handle = serve(AirshipConfig { events: 10, keep_alive, faults, ..AirshipConfig::default() }).await;
    assert!(open_earliest(&handle).await.lines(10).await.starts_with(&expected(&handle, 0..10)));
    assert_eq!(handle.stats().faults["stall"], 1);
}

#[tokio::test]
async fn invented_lines_stand_where_the_statistics_say() {
    for (fault, lines) in [
        (Fault::GarbageLine {}, 1),
        (Fault::HugeLine { bytes: 5 << 20, valid: true }, 1),
        (Fault::HugeLine { bytes: 1 << 20, valid: false }, 1),
        (Fault::Repeat { events: 3 }, 3),
    ] {
        let handle = with_fault(fault.clone()).await;
        let text = open_earliest(&handle).await.lines(2_000 + lines).await;
        let invented = match fault {
            Fault::HugeLine { bytes, valid } => huge_line(handle.log(), AT, bytes, valid),
            Fault::Repeat { .. } => expected(&handle, AT - 3..AT).trim_end().as_bytes().to_vec(),
            _ => garbage_line(AT),
        };
        let invented = String::from_utf8(invented).unwrap() + "\n";
        assert!(
            text == expected(&handle, 0..AT) + &invented + &expected(&handle, AT..2_000),
            "{}",
            fault.name()
        );
        assert_fired(&handle, fault.name()).await;
    }
}

#[tokio::test]
async fn characters_are_split_across_chunks() {
    for encoding in [Encoding::Gzip, Encoding::Identity] {
        let faults = vec![Armed::after(AT, Fault::SplitUtf8 {})];
        let handle =
            serve(AirshipConfig { events: 2_000, faults, encoding, ..AirshipConfig::default() }).await;
        let mut reader = open_earliest(&handle).await;
        let mut was_split = false;
        while reader.text().len() < expected(&handle, 0..2_000).len() {
            reader.chunk().await.unwrap();
            was_split |= std::str::from_utf8(&reader.text()).is_err();
        }
        assert!(was_split);
        assert_eq!(reader.lines(2_000).await, expected(&handle, 0..2_000));
        assert_fired(&handle, "split_utf8").await;
    }
}

#[tokio::test]
async fn drips_are_slow_and_complete() {
    let handle = with_fault(Fault::SlowDrip { bytes: 5, pause_ms: 0, events: 3 }).await;
    let mut reader = open_earliest(&handle).await;
    assert_eq!(reader.lines(2_000).await, expected(&handle, 0..2_000));
    assert_fired(&handle, "slow_drip").await;
}

#[tokio::test]
async fn bursts_of_errors_and_then_a_stream() {
    let fault = Fault::Status { code: 503, body: ErrorBody::Html, message: None, retry_after: Some(7) };
    let handle = serve(AirshipConfig { events: 3, ..AirshipConfig::default() }).await;
    handle.arm(Armed::now(fault).times(2));
    for _ in 0..2 {
        let response = request(&handle, &json!({})).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (503, &"7".parse().unwrap())
        );
        assert!(response.text().await.unwrap().contains("<h1>503 Service Unavailable</h1>"));
    }
    assert_eq!(open_earliest(&handle).await.lines(3).await, expected(&handle, 0..3));
    for code in [400, 401, 402, 403, 404, 406, 429, 500, 502] {
        handle.arm(Armed::now(Fault::Status {
            code,
            body: ErrorBody::Json,
            message: None,
            retry_after: None,
        }));
        let response = request(&handle, &json!({})).send().await.unwrap();
        assert_eq!(response.status(), code);
        assert_eq!(response.json::<Value>().await.unwrap()["ok"], false);
    }
    assert_eq!(handle.stats().faults["status"], 11);
}

#[tokio::test]
async fn redirects_of_every_form() {
    let handle = serve(AirshipConfig::default()).await;
    for code in [301, 302, 303, 307, 308] {
        let location = Some("https://evil.example/api/events".to_owned());
        let cookies = vec!["A=1; Path=/".to_owned(), "B=2".to_owned()];
        handle.arm(Armed::now(Fault::Redirect { code, location, cookies }));
        let response = request(&handle, &json!({})).send().await.unwrap();
        assert_eq!(response.status(), code);
        assert_eq!(response.headers()["location"], "https://evil.example/api/events");
        assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
    }
    handle.arm("redirect".parse().unwrap());
    let response = request(&handle, &json!({})).send().await.unwrap();
    assert!(response.status() == 307 && response.headers().get("location").is_none());
    assert_eq!(handle.stats().faults["redirect"], 6);
}

#[tokio::test]
async fn connects_without_an_answer() {
    let handle = serve(AirshipConfig::default()).await;
    handle.arm(Armed::now(Fault::Drop {}));
    assert!(request(&handle, &json!({})).send().await.is_err());
    handle.arm(Armed::now(Fault::Hang {}));
    let pending = request(&handle, &json!({})).timeout(Duration::from_millis(100)).send().await;
    assert!(pending.unwrap_err().is_timeout());
    let stats = handle.wait_for(|stats| stats.open_connections == 0).await;
    assert_eq!((stats.faults["drop"], stats.faults["hang"]), (1, 1));
}
