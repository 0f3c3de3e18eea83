//! The largest numbers that the flags take: they are served, and cost no memory by themselves.

use std::time::Duration;

use super::*;
use crate::adobe::Config as AdobeConfig;
use crate::airship::Epoch;
use crate::engine::clock::LATEST_MS;
use crate::engine::limits::{MOST, MOST_HELD, MOST_MIB};

const YEAR: Duration = Duration::from_secs(366 * 86_400);

#[tokio::test]
async fn airship_serves_the_largest_numbers() {
    let handle = serve(AirshipConfig {
        events: MOST,
        backlog: MOST,
        duplicate_every: MOST,
        duplicate_reach: MOST,
        retention_events: MOST,
        member_events: MOST,
        session_events: MOST,
        prepared_mib: MOST_MIB,
        hold_at: Some(MOST),
        step: Some(YEAR),
        keep_alive: YEAR,
        linger: YEAR,
        epoch: Epoch::At(LATEST_MS),
        ..AirshipConfig::default()
    })
    .await;
    let mut reader = open_earliest(&handle).await;
    assert!(reader.lines(1).await.starts_with(&expected(&handle, 0..1)));
    let mut late = open(&handle, json!({ "resume_offset": handle.log().offset(MOST - 2) })).await;
    assert_eq!(late.lines(1).await, expected(&handle, MOST - 1..MOST));
}

#[tokio::test]
async fn adobe_serves_the_largest_numbers() {
    let adobe = AdobeConfig {
        events: MOST,
        backlog: MOST,
        visitors: MOST,
        partitions: MOST_HELD,
        retention_hits: MOST,
        rebalance_replay: MOST,
        break_replay: MOST,
        member_hits: MOST,
        session_hits: MOST,
        prepared_mib: MOST_MIB,
        hold_at: Some(MOST),
        step: Some(YEAR),
        token_lifetime: YEAR,
        blank_every: YEAR,
        ghost_linger: YEAR,
        epoch: Epoch::At(LATEST_MS),
        no_auth: true,
        ..AdobeConfig::default()
    };
    let handle = start(Config::local_adobe(adobe)).await.unwrap();
    let url = format!("{}{}", handle.url(), handle.adobe().path());
    let asked = reqwest::Client::new().get(url).header("Accept-Encoding", "deflate, gzip");
    let response = asked.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let line = Reader::new(response).byte_lines(1).await;
    assert!(line.starts_with(&handle.adobe().log().expect(0).line), "{}", String::from_utf8_lossy(&line));
}
