//! Several connections, one position.

use std::collections::HashMap;

use super::*;

#[tokio::test]
async fn connections_share_the_hits_and_keep_visitors_together() {
    const HITS: u64 = 6_000;
    let handle =
        serve(AdobeConfig { hold_at: Some(0), rebalance_pause: Duration::ZERO, ..config(HITS) }).await;
    let mut readers = Vec::new();
    for _ in 0..4 {
        readers.push(open(&handle, "?maxConnections=4").await);
    }
    handle.adobe().release(HITS);
    handle.wait_for(|stats| stats.adobe.hits == HITS).await;
    let stats = handle.adobe().stats();
    assert_eq!((stats.duplicates, stats.rebalances), (0, 3));
    let log = handle.adobe().log();
    let numbers: HashMap<Vec<u8>, u64> = (0..HITS).map(|hit| (log.line(hit), hit)).collect();
    let mut owner: HashMap<u64, (usize, u64)> = HashMap::new();
    let mut seen = HashSet::new();
    for (at, reader) in readers.iter_mut().enumerate() {
        let hits = stats.by_stream[&(at as u64 + 1)].hits;
        assert!(hits > HITS / 8, "{hits}");
        for line in lines(&reader.byte_lines(hits as usize).await) {
            let hit = numbers[&line];
            assert!(seen.insert(hit));
            let (by, latest) = owner.entry(log.visitor(hit)).or_insert((at, hit));
            assert!(*by == at && *latest <= hit, "visitor on two connections or out of order");
            *latest = hit;
        }
    }
    assert_eq!(seen.len() as u64, HITS);
}

#[tokio::test]
async fn another_connection_repeats_a_few_hits_and_takes_its_share() {
    let handle =
        serve(AdobeConfig { hold_at: Some(500), rebalance_pause: Duration::from_millis(1), ..config(1_000) })
            .await;
    let mut first = open(&handle, "?maxConnections=2").await;
    assert!(first.byte_lines(500).await == expected(&handle.adobe().log(), 0..500));
    let mut second = open(&handle, "?maxConnections=2").await;
    // Three for each of the eight partitions that moved.
    let stats = handle.adobe().wait_for(|stats| stats.hits == 524).await;
    assert_eq!((stats.duplicates, stats.rewound, stats.rebalances), (24, 24, 1));
    assert_eq!(second.byte_lines(24).await.iter().filter(|byte| **byte == b'\n').count(), 24);
    handle.adobe().release(1_000);
    handle.adobe().wait_for(|stats| stats.hits == 1_024).await;
    drop(second);
    let stats = handle.adobe().wait_for(|stats| stats.open_streams == 1 && stats.hits == 1_048).await;
    assert_eq!((stats.rebalances, stats.duplicates), (2, 48));
}

#[tokio::test]
async fn what_was_handed_over_is_gone_unless_told_otherwise() {
    for (lose_in_flight, next) in [(true, 100), (false, 90)] {
        let handle = serve(AdobeConfig {
            hold_at: Some(100),
            lose_in_flight,
            break_replay: 10,
            partitions: 1,
            ..config(200)
        })
        .await;
        let mut reader = open(&handle, "").await;
        reader.byte_lines(100).await;
        drop(reader);
        handle.adobe().wait_for(|stats| stats.open_streams == 0).await;
        assert_eq!(handle.adobe().positions(), [next]);
        handle.adobe().release(200);
        let mut reader = open(&handle, "").await;
        let text = reader.byte_lines(200 - next as usize).await;
        assert!(text == expected(&handle.adobe().log(), next..200));
        // An end in order loses nothing.
        handle.adobe().disconnect(Fault::Eof {});
        reader.end().await;
        reopen(&handle, "").await;
        assert_eq!(handle.adobe().positions(), [200]);
    }
}

#[tokio::test]
async fn reset_moves_the_position() {
    let handle = serve(config(3_000)).await;
    let mut reader = open(&handle, "").await;
    reader.byte_lines(3_000).await;
    drop(reader);
    handle.adobe().expire(2_900);
    for reset in ["smallest", "earliest"] {
        let mut reader = reopen(&handle, &format!("?reset={reset}")).await;
        assert!(reader.byte_lines(100).await == expected(&handle.adobe().log(), 2_900..3_000));
    }
    for reset in ["largest", "latest"] {
        drop(reopen(&handle, &format!("?reset={reset}")).await);
        assert_eq!(handle.adobe().positions(), [3_000; 16]);
    }
    let stats = handle.adobe().stats();
    assert_eq!((stats.resets_honoured, stats.duplicates), (4, 200));
}

#[tokio::test]
async fn nothing_is_lost_while_connections_come_and_go_in_order() {
    const HITS: u64 = 9_000;
    let handle = serve(AdobeConfig {
        rebalance_pause: Duration::from_millis(1),
        session_hits: 1_500,
        hold_at: Some(300),
        ..config(HITS)
    })
    .await;
    let log = handle.adobe().log();
    let numbers: HashMap<Vec<u8>, u64> = (0..HITS).map(|hit| (log.line(hit), hit)).collect();
    let mut got: Vec<u64> = Vec::new();
    while (got.iter().collect::<HashSet<_>>().len() as u64) < HITS {
        let mut readers = Vec::new();
        for _ in 0..3 {
            readers.push(reopen_among(&handle, "?maxConnections=3").await);
        }
        handle.adobe().release(HITS);
        let ending = async {
            handle.adobe().wait_for(|stats| stats.hits - stats.duplicates == HITS).await;
            handle.adobe().disconnect(Fault::Eof {});
            std::future::pending::<()>().await;
        };
        let reading = async {
            for reader in &mut readers {
                let (text, end) = reader.end().await;
                assert_eq!(end, End::Complete);
                got.extend(lines(&text).iter().map(|line| numbers[line]));
            }
        };
        tokio::select! {
            () = ending => {}
            () = reading => {}
        }
    }
    let stats = handle.adobe().wait_for(|stats| stats.open_streams == 0).await;
    assert_eq!((stats.hits, stats.hits - stats.duplicates), (got.len() as u64, HITS));
    assert!(stats.rebalances > 0 && stats.duplicates > 0);
    assert_eq!(handle.adobe().sent().len(), got.len());
}

/// Opens a stream once there is a slot.
async fn reopen_among(handle: &Handle, query: &str) -> Reader {
    handle.adobe().wait_for(|stats| stats.open_streams < 3).await;
    open(handle, query).await
}
