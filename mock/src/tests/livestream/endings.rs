//! Faults in streams, as a client sees them.

use super::*;
use crate::adobe::huge_line;
use crate::engine::fault::{array_line, garbage_line};

/// Where the faults strike: beyond the first block, and not at the start of one.
const AT: u64 = 2_100;

async fn suffer(fault: Fault) -> (Handle, Vec<u8>, End, Reader) {
    let handle = serve(AdobeConfig { faults: vec![Armed::after(AT, fault)], ..config(2_500) }).await;
    let mut reader = open(&handle, "").await;
    let (text, end) = reader.end().await;
    (handle, text, end, reader)
}

#[tokio::test]
async fn streams_end_in_every_way() {
    for (fault, ended, is_whole, is_torn) in [
        (Fault::Eof {}, End::Complete, true, Some(false)),
        (Fault::MissingTrailer {}, End::Complete, false, Some(false)),
        (Fault::TornLine {}, End::Complete, true, Some(true)),
        (Fault::TruncatedGzip {}, End::Complete, false, None),
        (Fault::CutMidLine {}, End::Broken, false, Some(true)),
        (Fault::CutMidGzip {}, End::Broken, false, None),
        (Fault::Reset {}, End::Broken, false, None),
    ] {
        let (handle, text, end, reader) = suffer(fault.clone()).await;
        let whole = expected(&handle.adobe().log(), 0..AT);
        let position =
            handle.adobe().wait_for(|stats| stats.faults.get(fault.name()) == Some(&1)).await.fired[0]
                .position;
        assert_eq!(position, AT);
        // What the kernel still held is thrown away by a reset.
        if fault != (Fault::Reset {}) {
            let rest = text.strip_prefix(whole.as_slice()).unwrap();
            assert!(is_torn.is_none_or(|torn| torn != rest.is_empty()), "{fault:?}");
        }
        assert_eq!((end, reader.is_whole_gzip()), (ended, is_whole), "{fault:?}");
        let mut next = reopen(&handle, "").await;
        assert!(next.byte_lines(400).await == expected(&handle.adobe().log(), AT..2_500), "{fault:?}");
    }
}

#[tokio::test]
async fn invented_lines_stand_between_hits() {
    let handle = serve(config(50)).await;
    let log = handle.adobe().log();
    for (at, fault) in [
        (10, Fault::GarbageLine {}),
        (20, Fault::ArrayLine {}),
        (30, Fault::HugeLine { bytes: 70_000, valid: true }),
        (40, Fault::Repeat { events: 2 }),
    ] {
        handle.adobe().arm(Armed::at(at, fault));
    }
    let mut reader = open(&handle, "").await;
    let got = lines(&reader.byte_lines(55).await);
    let mut wanted: Vec<Vec<u8>> = (0..50).map(|hit| log.line(hit)).collect();
    wanted.splice(40..40, [log.line(38), log.line(39)]);
    wanted.insert(30, huge_line(&log, 30, 70_000, true));
    wanted.insert(20, array_line(20));
    wanted.insert(10, garbage_line(10));
    assert!(got == wanted);
    assert!(serde_json::from_slice::<Value>(&wanted[32]).unwrap().is_object());
    assert_eq!(handle.adobe().wait_for(|stats| stats.hits == 52).await.duplicates, 2);
}

#[tokio::test]
async fn a_fault_at_a_position_that_has_passed_strikes_at_once() {
    let handle = serve(AdobeConfig { hold_at: Some(20), ..config(30) }).await;
    let mut reader = open(&handle, "").await;
    reader.byte_lines(20).await;
    drop(reader);
    handle.adobe().wait_for(|stats| stats.open_streams == 0).await;
    handle.adobe().release(30);
    handle.adobe().arm(Armed::at(5, Fault::GarbageLine {}));
    let text = open(&handle, "").await.byte_lines(11).await;
    let wanted = [garbage_line(20), b"\r\n".to_vec(), expected(&handle.adobe().log(), 20..30)].concat();
    assert!(text == wanted);
}

#[tokio::test]
async fn a_stall_a_split_and_a_drip_lose_nothing() {
    for fault in [
        Fault::Stall { ms: Some(1) },
        Fault::SplitUtf8 {},
        Fault::SlowDrip { bytes: 97, pause_ms: 1, events: 2 },
    ] {
        let handle = serve(AdobeConfig { faults: vec![Armed::after(10, fault)], ..config(30) }).await;
        let mut reader = open(&handle, "").await;
        assert!(reader.byte_lines(30).await == expected(&handle.adobe().log(), 0..30));
        handle.adobe().wait_for(|stats| stats.fired.len() == 1).await;
    }
}

#[tokio::test]
async fn a_connection_that_stalls_for_ever_can_still_be_ended() {
    let faults = vec![Armed::after(10, Fault::Stall { ms: None })];
    let handle = serve(AdobeConfig { faults, ..config(30) }).await;
    let mut reader = open(&handle, "").await;
    reader.byte_lines(10).await;
    handle.adobe().wait_for(|stats| stats.faults.contains_key("stall")).await;
    handle.adobe().disconnect(Fault::Reset {});
    assert_eq!(reader.end().await.1, End::Broken);
    assert!(reopen(&handle, "").await.byte_lines(20).await == expected(&handle.adobe().log(), 10..30));
}

#[tokio::test]
async fn one_of_several_connections_can_be_hit() {
    let handle = serve(AdobeConfig { hold_at: Some(100), ..config(100) }).await;
    let mut readers = Vec::new();
    for _ in 0..3 {
        readers.push(open(&handle, "?maxConnections=3").await);
    }
    assert_eq!(handle.adobe().disconnect_one(1, Fault::Reset {}), Some(2));
    assert_eq!(readers[1].end().await.1, End::Broken);
    let stats = handle.adobe().wait_for(|stats| stats.open_streams == 2).await;
    assert!(stats.by_stream[&1].open && !stats.by_stream[&2].open && stats.by_stream[&3].open);
    assert_eq!(handle.adobe().disconnect_one(5, Fault::Reset {}), None);
    handle.adobe().disconnect(Fault::Eof {});
    assert_eq!(readers[0].end().await.1, End::Complete);
    assert_eq!(readers[2].end().await.1, End::Complete);
}
