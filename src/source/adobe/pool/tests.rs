//! Pools against the mock service, with everything behind the queue left out.

use std::collections::HashSet;

use tokio::sync::watch;
use tokio::time::Instant;
use tributary_mock::adobe::{Config as Service, OnExpiry};
use tributary_mock::fault::{Armed, ErrorBody, Fault};

use super::*;
use crate::model::block::{Block, lines};
use crate::model::checkpoint::Hold;
use crate::model::secret::{Secret, SecretSource};
use crate::model::types::Watermark;
use crate::source::adobe;
use crate::source::http::auth::{Credential, Grant, GrantScheme};
use crate::source::metrics::Metrics;
use crate::source::queue::{CaughtUp, Output, Received, queue};

mod undated;

const HITS: u64 = 600;

/// How long to wait for hits.
const PATIENCE: Duration = Duration::from_secs(120);

/// What came out of the queue.
#[derive(Debug, Default)]
struct Taken {
    lines: Vec<Vec<u8>>,
    broke_off: usize,
    replays: usize,
    caught_up: usize,
    torn: bool,
}

struct Running {
    /// Different hits so far.
    distinct: watch::Receiver<usize>,
    pool: tokio::task::JoinHandle<()>,
    taken: tokio::task::JoinHandle<Taken>,
    metrics: Metrics,
    stop: CancellationToken,
}

async fn service(config: Service) -> tributary_mock::Handle {
    tributary_mock::start(tributary_mock::Config::local_adobe(Service { events: HITS, ..config }))
        .await
        .unwrap()
}

fn grant(mock: &tributary_mock::Handle) -> Credential {
    Credential::Grant(Grant {
        scheme: GrantScheme::Ims,
        token_url: format!("{}/ims/token/v3", mock.url()).parse().unwrap(),
        client_id: "id".into(),
        client_secret: SecretSource::Value(Secret::new("secret")),
        scopes: vec!["openid".into(), "AdobeID".into()],
    })
}

fn start(mock: &tributary_mock::Handle, connections: u32, on_unclean: OnUnclean, resume: Resume) -> Running {
    let url = format!("{}{}", mock.url(), mock.adobe().path());
    start_at(&url, grant(mock), connections, on_unclean, resume)
}

fn start_at(url: &str, auth: Credential, connections: u32, on_unclean: OnUnclean, resume: Resume) -> Running {
    let adobe = adobe::Config {
        api_key: Some("id".into()),
        max_connections: connections,
        smoothing: None,
        reconnect_pause: Duration::from_millis(60),
        on_unclean,
        replay_interval: Duration::from_millis(10),
        reset: None,
    };
    let endpoint = Endpoint {
        stream: "web".into(),
        url: url.parse().unwrap(),
        auth,
        http: Default::default(),
        redirect_hosts: vec!["127.0.0.1".into()],
        allow_plain_http: false,
        silence: Duration::from_secs(30),
        connect_timeout: Duration::from_secs(5),
    };
    let (input, output) = queue(1 << 20, Default::default(), Default::default());
    let (metrics, stop) = (Metrics::default(), CancellationToken::new());
    let context = ReaderContext { input, metrics: metrics.clone(), max_line: 1 << 20, stop: stop.clone() };
    let delivered_ms = match &resume.position {
        Some(Position::Watermark(mark)) => mark.received_ms,
        _ => None,
    };
    let pool = Pool::new(endpoint, adobe, resume, context);
    let runtime = tokio::runtime::Handle::current();
    let (count, distinct) = watch::channel(0);
    let taken = tokio::task::spawn_blocking(move || take(&output, delivered_ms, &count));
    Running { distinct, pool: crate::task::spawn(&runtime, "pool", pool.run()), taken, metrics, stop }
}

fn take(output: &Output, delivered_ms: Option<i64>, distinct: &watch::Sender<usize>) -> Taken {
    let (mut taken, mut known) = (Taken { torn: true, ..Taken::default() }, HashSet::new());
    loop {
        match output.receive(Duration::from_secs(60)) {
            Received::Closed => return taken,
            Received::Timeout => {}
            Received::Item(Item::Block { block: Block::Lines(bytes), .. }) => {
                taken.lines.extend(lines(&bytes).map(<[u8]>::to_vec));
                known.extend(lines(&bytes).filter(|line| line.starts_with(b"{")).map(<[u8]>::to_vec));
                distinct.send_replace(known.len());
            }
            Received::Item(Item::Block { .. }) => {}
            Received::Item(Item::Note(note)) => match note {
                Note::Lost { .. } => taken.broke_off += 1,
                Note::CaughtUp { outcome } => {
                    taken.caught_up += 1;
                    outcome.send(CaughtUp { went_back: true, brought_back: true }).unwrap();
                }
                Note::ReplayDone { replay_owed } => assert!(!replay_owed),
                Note::Drained => taken.torn = false,
                Note::GivenUp | Note::PositionGivenUp => {}
                Note::ReplayBegins { committed, .. } => {
                    taken.replays += 1;
                    committed.send(delivered_ms).unwrap();
                }
            },
        }
    }
}

impl Running {
    /// Waits until so many hits have come out of the queue.
    async fn has(&self, hits: usize) {
        let mut distinct = self.distinct.clone();
        let all = tokio::time::timeout(PATIENCE, distinct.wait_for(|distinct| *distinct >= hits)).await;
        drop(all.expect("hits go on coming out").expect("the shard goes on"));
    }

    /// Waits until every hit has come out of the queue.
    async fn has_all(&self) {
        self.has(HITS as usize).await;
    }

    async fn stopped(self) -> Taken {
        self.stop.cancel();
        self.pool.await.unwrap();
        self.taken.await.unwrap()
    }
}

/// All hits of the log that are in there, which must be nothing else.
fn distinct(taken: &Taken, mock: &tributary_mock::Handle) -> usize {
    let expected: HashSet<Vec<u8>> = (0..HITS).map(|n| mock.adobe().log().line(n)).collect();
    let found: HashSet<_> = taken.lines.iter().collect();
    assert!(found.iter().all(|line| expected.contains(*line)), "a line that is no hit");
    found.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_connections_share_a_stream_and_one_token() {
    for connections in [1, 8] {
        let mock = service(Service { hold_at: Some(0), ..Service::default() }).await;
        let running = start(&mock, connections, OnUnclean::Continue, Resume::default());
        mock.adobe().wait_for(|stats| stats.open_streams == u64::from(connections)).await;
        mock.adobe().release(HITS);
        // A connection counts as open before its hits come out, and each has some.
        running.has_all().await;
        assert_eq!(running.metrics.connections.get(), i64::from(connections));
        let taken = running.stopped().await;
        assert_eq!(distinct(&taken, &mock), HITS as usize);
        assert!(!taken.torn, "nothing was on its way any more");
        let stats = mock.adobe().stats();
        assert_eq!((stats.minted, stats.streams), (1, u64::from(connections)));
        let streams = stats.requests.iter().filter(|seen| seen.stream.is_some());
        let expected = [("maxConnections".to_owned(), connections.to_string())];
        streams.for_each(|seen| assert_eq!((seen.query.as_slice(), seen.has_api_key), (&expected[..], true)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_replaced_at_once_and_once() {
    for on_expiry in [OnExpiry::Cut, OnExpiry::Line, OnExpiry::Text] {
        let mock = service(Service { on_expiry, hold_at: Some(100), ..Service::default() }).await;
        let running = start(&mock, 2, OnUnclean::Continue, Resume::default());
        mock.adobe().wait_for(|stats| stats.open_streams == 2 && stats.hits >= 100).await;
        mock.adobe().expire_tokens();
        mock.adobe().wait_for(|stats| stats.streams == 4 && stats.minted == 2).await;
        mock.adobe().release(HITS);
        mock.adobe().wait_for(|stats| stats.hits - stats.duplicates == HITS).await;
        running.has_all().await;
        let taken = running.stopped().await;
        assert_eq!(distinct(&taken, &mock), HITS as usize, "{on_expiry:?}");
        assert_eq!(mock.adobe().stats().minted, 2, "{on_expiry:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_broke_off_is_made_good_by_a_replay() {
    let mock = service(Service { hold_at: Some(300), ..Service::default() }).await;
    let running = start(&mock, 3, OnUnclean::Replay, Resume::default());
    mock.adobe().wait_for(|stats| stats.hits - stats.duplicates == 300 && stats.open_streams == 3).await;
    mock.adobe().disconnect_one(1, Fault::Reset {}).expect("three are open");
    mock.adobe().wait_for(|stats| stats.faults.get("reset") == Some(&1)).await;
    mock.adobe().release(HITS);
    mock.adobe().wait_for(|stats| stats.resets_honoured == 1 && stats.open_streams == 3).await;
    running.has_all().await;
    let taken = running.stopped().await;
    assert_eq!((taken.broke_off, taken.replays, taken.caught_up), (1, 1, 1));
    assert_eq!(distinct(&taken, &mock), HITS as usize);
    assert_eq!(mock.adobe().stats().resets_ignored, 0);
}

/// Whether each connect asked for a reset.
fn resets(mock: &tributary_mock::Handle) -> Vec<bool> {
    let requests = mock.adobe().stats().requests;
    let connects = requests.iter().filter(|seen| seen.path.starts_with("/api/1/stream/"));
    connects.map(|seen| seen.query.contains(&("reset".to_owned(), "smallest".to_owned()))).collect()
}

fn page(body: ErrorBody) -> Fault {
    Fault::Status { code: 200, body, message: None, retry_after: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_unclean_stop_the_first_connect_resets() {
    let mock = service(Service::default()).await;
    let watermark = Watermark { received_ms: Some(1), ..Watermark::default() };
    let resume = Resume {
        position: Some(Position::Watermark(watermark)),
        left: Some(Hold::Held),
        committed_ms: Some(0),
        ..Resume::default()
    };
    let running = start(&mock, 2, OnUnclean::Replay, resume.clone());
    mock.adobe().wait_for(|stats| stats.open_streams == 2).await;
    let taken = running.stopped().await;
    assert_eq!((taken.replays, taken.caught_up), (1, 1));
    assert_eq!(resets(&mock), [true, false], "the first, and no other");
    let running = start(&mock, 2, OnUnclean::Continue, resume);
    mock.adobe().wait_for(|stats| stats.streams == 4).await;
    assert_eq!(running.stopped().await.replays, 0);
    assert_eq!(resets(&mock), [true, false, false, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_that_a_page_answered_is_made_again() {
    for body in [ErrorBody::Html, ErrorBody::Json] {
        let mock = service(Service::default()).await;
        mock.adobe().arm(Armed::now(page(body)));
        let resume = Resume { left: Some(Hold::Held), ..Resume::default() };
        let running = start(&mock, 2, OnUnclean::Replay, resume);
        running.has_all().await;
        mock.adobe().wait_for(|stats| stats.open_streams == 2).await;
        let taken = running.stopped().await;
        assert_eq!((taken.replays, taken.broke_off), (1, 0), "{body:?}");
        assert_eq!(resets(&mock), [true, true, false], "{body:?}");
    }
}

/// The service has gone back already, and goes on from where the refusal came.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_that_a_stream_answered_is_not_made_again() {
    let step = Some(Duration::from_secs(5));
    let mock =
        service(Service { hold_at: Some(100), on_expiry: OnExpiry::Line, step, ..Service::default() }).await;
    let delivered_ms = (mock.adobe().log().hit(500).received_s * 1000) as i64;
    let watermark = Watermark { received_ms: Some(delivered_ms), ..Watermark::default() };
    let resume = Resume {
        position: Some(Position::Watermark(watermark)),
        left: Some(Hold::Held),
        ..Resume::default()
    };
    let running = start(&mock, 1, OnUnclean::Replay, resume);
    running.has(100).await;
    mock.adobe().expire_tokens();
    mock.adobe().wait_for(|stats| stats.streams == 2).await;
    mock.adobe().release(HITS);
    running.has_all().await;
    let taken = running.stopped().await;
    assert_eq!((taken.replays, taken.broke_off), (1, 0));
    let resets = resets(&mock);
    assert!(resets[0] && !resets[1..].contains(&true), "{resets:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_block_that_goes_beyond_what_was_delivered_reaches_back_too() {
    // A block holds some 75 of these.
    let mock = service(Service { step: Some(Duration::from_secs(5)), ..Service::default() }).await;
    let delivered_ms = (mock.adobe().log().hit(65).received_s * 1000) as i64;
    let watermark = Watermark { received_ms: Some(delivered_ms), ..Watermark::default() };
    let resume = Resume {
        position: Some(Position::Watermark(watermark)),
        left: Some(Hold::Held),
        committed_ms: Some(0),
        ..Resume::default()
    };
    let running = start(&mock, 2, OnUnclean::Replay, resume);
    mock.adobe().wait_for(|stats| stats.open_streams == 2 && stats.hits - stats.duplicates == HITS).await;
    let taken = running.stopped().await;
    assert_eq!((taken.replays, distinct(&taken, &mock)), (1, HITS as usize));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_by_turns_do_not_hammer_the_service() {
    let mock = service(Service::default()).await;
    for code in [401, 403, 401, 403] {
        let refusal = Fault::Status { code, body: ErrorBody::Json, message: None, retry_after: None };
        mock.adobe().arm(Armed::now(refusal));
    }
    let since = Instant::now();
    let running = start(&mock, 1, OnUnclean::Continue, Resume::default());
    running.has_all().await;
    // Each is the first of its kind in a row. Twice there is a pause, of at least twice the usual one.
    assert!(since.elapsed() >= Duration::from_millis(240));
    let taken = running.stopped().await;
    assert_eq!(mock.adobe().stats().statuses, [(200, 1), (401, 2), (403, 2)].into());
    assert_eq!(distinct(&taken, &mock), HITS as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_hits_arrive_is_not_in_order_and_blank_lines_are_no_hits() {
    for (rate, torn) in [(50.0, true), (0.0, false)] {
        let blank_every = Duration::from_millis(50);
        let mock = service(Service { rate, blank_every, ..Service::default() }).await;
        let running = start(&mock, 2, OnUnclean::Continue, Resume::default());
        running.has(10).await;
        assert_eq!(running.stopped().await.torn, torn, "at {rate} hits a second");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_stream_is_never_an_event() {
    let mock = service(Service { gzip_errors: true, ..Service::default() }).await;
    mock.adobe().arm(Armed::now(page(ErrorBody::Html)).times(2));
    let running = start(&mock, 1, OnUnclean::Continue, Resume::default());
    mock.adobe().wait_for(|stats| stats.hits == HITS).await;
    running.has_all().await;
    let taken = running.stopped().await;
    assert_eq!(distinct(&taken, &mock), HITS as usize);
    assert_eq!((taken.lines.len(), taken.broke_off), (HITS as usize, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_begins_with_a_bad_record_loses_nothing() {
    let mock = service(Service::default()).await;
    mock.adobe().arm(Armed::now(Fault::GarbageLine {}));
    let running = start(&mock, 1, OnUnclean::Replay, Resume::default());
    let garbage = |line: &&Vec<u8>| line.starts_with(b"%% garbage");
    running.has_all().await;
    let mut taken = running.stopped().await;
    assert_eq!(mock.adobe().stats().faults["garbage_line"], 1);
    // Held back until a hit shows that this is a stream, it goes on to become a dead letter.
    let carried = taken.lines.iter().filter(garbage).count();
    assert_eq!((carried, taken.broke_off, taken.replays), (1, 0, 0));
    taken.lines.retain(|line| !garbage(&line));
    assert_eq!(distinct(&taken, &mock), HITS as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_enabled_once() {
    let delay = Duration::from_millis(500);
    let mock = service(Service { needs_enable: true, enable_delay: delay, ..Service::default() }).await;
    let running = start(&mock, 4, OnUnclean::Continue, Resume::default());
    mock.adobe().wait_for(|stats| stats.open_streams == 4).await;
    running.stopped().await;
    assert_eq!(mock.adobe().stats().enabled, 1);
}
