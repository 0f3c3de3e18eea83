//! A service whose hits tell no time that they were received at.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Between two hits: far below what counts as idle.
const STEP: Duration = Duration::from_millis(10);

/// Far above what the replay takes.
const GENEROUS: Duration = Duration::from_secs(60);

/// Streams hits without times on each connection for as long as somebody reads; gives the address, and the requests so far.
async fn service() -> (String, watch::Receiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/1/stream/x", listener.local_addr().unwrap());
    let (heard, requests) = watch::channel(Vec::new());
    let serve = async move {
        while let Ok((stream, _)) = listener.accept().await {
            let heard = heard.clone();
            drop(crate::task::spawn(&tokio::runtime::Handle::current(), "stream", answer(stream, heard)));
        }
    };
    drop(crate::task::spawn(&tokio::runtime::Handle::current(), "service", serve));
    (url, requests)
}

async fn answer(mut stream: TcpStream, heard: watch::Sender<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let request = String::from_utf8(head).unwrap().lines().next().unwrap().to_owned();
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    heard.send_modify(|heard| heard.push(request));
    for n in 1.. {
        let hit = format!("{{\"hitIdHigh\":{n},\"hitIdLow\":1}}\n");
        if stream.write_all(format!("{:x}\r\n{hit}\r\n", hit.len()).as_bytes()).await.is_err() {
            return;
        }
        tokio::time::sleep(STEP).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_ends_where_hits_tell_no_time() {
    let (url, mut requests) = service().await;
    let watermark = Watermark { received_ms: Some(1_372_782_179_000), ..Watermark::default() };
    let resume = Resume {
        position: Some(Position::Watermark(watermark)),
        left: Some(Hold::Held),
        committed_ms: Some(0),
        ..Resume::default()
    };
    let token = Credential::Bearer(SecretSource::Value(Secret::new("token")));
    let running = start_at(&url, token, 2, OnUnclean::Replay, resume);
    let both = requests.wait_for(|requests| requests.len() == 2);
    let asked = tokio::time::timeout(GENEROUS, both).await.expect("the second connection").unwrap().clone();
    let resets: Vec<_> = asked.iter().map(|request| request.contains("reset=smallest")).collect();
    assert_eq!(resets, [true, false]);
    let taken = running.stopped().await;
    assert_eq!((taken.replays, taken.caught_up), (1, 1));
}
