//! Replays on a sink in memory: a service that keeps the position and loses what is on its way, and a shard that is
//! fenced out at some commit or loses a connection, again and again.

use tokio::sync::oneshot;

use super::*;
use crate::model::types::Watermark;
use crate::source::queue::{Loss, Note};

/// Received times go back by up to this many seconds against the order of the hits.
const DISORDER_S: u64 = 7;

fn hit(n: u64) -> String {
    let received = 1_000 + n / 2 - (n * 7919) % DISORDER_S;
    format!("{{\"id\":\"{n}\",\"received\":{received}}}\n")
}

fn hits(range: std::ops::Range<u64>) -> Item {
    let text: String = range.map(hit).collect();
    Item::Block { block: lines(&text), resumed: false, connection: None }
}

fn adobe_pipeline(max_ids: usize) -> Pipeline {
    let fields = extract::Config {
        id: Id::Field("id".into()),
        key: Key::Fields(Vec::new()),
        event_type: EventType::Constant("hit"),
        topic_fields: Vec::new(),
        occurred: "received".into(),
        processed: "received".into(),
        times: TimeFormat::UnixSeconds,
        time: None,
        header_fields: Vec::new(),
        offset: None,
        position_only_type: None,
        spelling: Spelling { ignore_evar_case: true },
        filters: Filters::default(),
    };
    let routes = route::Config {
        topic: Template::parse("hits").unwrap(),
        topics: Default::default(),
        by: None,
        default_topic: None,
        max_topics: 1000,
        timestamp: Default::default(),
        bounds: route::Bounds { past_ms: i64::MAX, future_ms: 0 },
        reserved: Vec::new(),
    };
    let window = Window::new(dedupe::Config { max_ids, ..Default::default() }, 10);
    Pipeline::new(Extractor::new(&fields).unwrap(), Router::new(routes), window, None, "dead".into())
}

/// One life of a shard: it takes these until they end, or until a fault of the cluster throws it out.
fn live(cluster: &Arc<Mutex<Cluster>>, max_ids: usize, items: Vec<Item>) -> (Exit, Resume) {
    live_as(OnUnclean::Replay, cluster, max_ids, items)
}

fn live_as(
    on_unclean: OnUnclean,
    cluster: &Arc<Mutex<Cluster>>,
    max_ids: usize,
    mut items: Vec<Item>,
) -> (Exit, Resume) {
    items.push(Item::Note(Note::Drained));
    live_until(on_unclean, cluster, max_ids, items)
}

/// As a reader that fails leaves it: without a word.
fn live_until(
    on_unclean: OnUnclean,
    cluster: &Arc<Mutex<Cluster>>,
    max_ids: usize,
    items: Vec<Item>,
) -> (Exit, Resume) {
    let config = Config {
        id: ShardId { stream: "web".into(), index: 0 },
        batch: batch::Config { max_events: 20, ..batch::Config::default() },
        retention: Duration::from_secs(300),
        on_unclean: Some(on_unclean),
    };
    let sink = MemorySink::new(Arc::clone(cluster));
    let never = CancellationToken::new();
    let metrics = Metrics::default();
    let shard = Shard::open(config, sink, adobe_pipeline(max_ids), metrics, never.clone(), &never).unwrap();
    let resume = shard.resume();
    let (input, output) = queue(1 << 24, Default::default(), Default::default());
    for item in items {
        futures_util::FutureExt::now_or_never(input.send(item)).unwrap().unwrap();
    }
    drop(input);
    (shard.run(&output), resume)
}

fn replay(held: u64) -> Vec<Item> {
    let (committed, _) = oneshot::channel();
    let begins = Item::Note(Note::ReplayBegins { at_ms: 1, committed });
    let all = (0..held).step_by(13).map(|from| hits(from..(from + 13).min(held)));
    let ends = Item::Note(Note::ReplayDone { replay_owed: false });
    std::iter::once(begins).chain(all).chain([ends]).collect()
}

fn delivered(cluster: &Mutex<Cluster>) -> Vec<u64> {
    let ids = values(cluster).into_iter().map(|value| {
        value.trim_start_matches("{\"id\":\"").split('"').next().unwrap_or_default().parse().unwrap()
    });
    ids.collect()
}

fn watermark(cluster: &Mutex<Cluster>) -> Watermark {
    match &cluster.lock().unwrap().checkpoint.as_ref().unwrap().position {
        Some(Position::Watermark(watermark)) => *watermark,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connection_that_broke_off_is_made_good_by_a_replay() {
    let cluster = Arc::<Mutex<Cluster>>::default();
    let lost =
        vec![hits(0..50), Item::Note(Note::Lost { how: Loss::BrokeOff, replay_owed: true }), hits(60..100)];
    assert_eq!(live(&cluster, 1000, lost).0, Exit::Stopped);
    assert_eq!(delivered(&cluster).len(), 90);
    assert!(watermark(&cluster).owed_from_ms.is_some(), "what is owed outlives the process");
    assert_eq!(live(&cluster, 1000, replay(120)).0, Exit::Stopped);
    let mut all = delivered(&cluster);
    all.sort_unstable();
    assert_eq!(all, (0..120).collect::<Vec<_>>());
    assert_eq!(watermark(&cluster).owed_from_ms, None);
}

#[test]
fn what_no_replay_will_come_for_is_not_owed() {
    let cluster = Arc::<Mutex<Cluster>>::default();
    live(
        &cluster,
        1000,
        vec![hits(0..50), Item::Note(Note::Lost { how: Loss::BrokeOff, replay_owed: true })],
    );
    assert!(watermark(&cluster).owed_from_ms.is_some());
    live_as(OnUnclean::Continue, &cluster, 1000, vec![hits(60..100)]);
    assert_eq!(watermark(&cluster).owed_from_ms, None, "ids would never age again");
}

#[test]
fn what_is_given_up_is_not_owed() {
    let cluster = Arc::<Mutex<Cluster>>::default();
    live(
        &cluster,
        1000,
        vec![hits(0..50), Item::Note(Note::Lost { how: Loss::BrokeOff, replay_owed: true })],
    );
    live(&cluster, 1000, vec![Item::Note(Note::GivenUp), hits(60..100)]);
    assert_eq!(watermark(&cluster).owed_from_ms, None);
}

#[test]
fn a_replay_does_not_look_like_a_lag() {
    let cluster = Arc::<Mutex<Cluster>>::default();
    live(&cluster, 1000, vec![hits(0..500)]);
    let processed_ms = || cluster.lock().unwrap().checkpoint.as_ref().unwrap().processed_ms;
    let before = processed_ms();
    let (committed, _) = oneshot::channel();
    live(&cluster, 1000, vec![Item::Note(Note::ReplayBegins { at_ms: 1, committed }), hits(0..100)]);
    assert_eq!(processed_ms(), before);
}

#[test]
fn a_stop_that_was_torn_is_not_in_order() {
    let cluster = Arc::<Mutex<Cluster>>::default();
    assert!(!live(&cluster, 1000, vec![hits(0..5)]).1.may_have_lost(), "a first start");
    assert!(!live_until(OnUnclean::Replay, &cluster, 1000, vec![hits(5..9)]).1.may_have_lost());
    let checkpoint = || cluster.lock().unwrap().checkpoint.clone().unwrap();
    assert_eq!(checkpoint().hold, Hold::Released);
    assert!(live(&cluster, 1000, vec![]).1.may_have_lost());
    assert_eq!(checkpoint().hold, Hold::Drained);
}

#[test]
fn forgotten_ids_are_made_up_for_by_time() {
    let cluster = Arc::<Mutex<Cluster>>::default();
    live(
        &cluster,
        100,
        vec![hits(0..400), Item::Note(Note::Lost { how: Loss::BrokeOff, replay_owed: true }), hits(410..500)],
    );
    assert!(watermark(&cluster).forgotten_ms.is_some());
    live(&cluster, 100, replay(520));
    let mut all = delivered(&cluster);
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "nothing twice, although most ids were forgotten");
    assert!((500..520).all(|n| all.contains(&n)), "what came after the break is there");
}

#[test]
fn a_partition_that_is_far_ahead_does_not_end_the_rule_for_the_others() {
    let cluster = Arc::<Mutex<Cluster>>::default();
    live(
        &cluster,
        100,
        vec![hits(0..400), Item::Note(Note::Lost { how: Loss::BrokeOff, replay_owed: true })],
    );
    let mut items = replay(400);
    // An hour later than what was delivered.
    items.insert(1, hits(8_000..8_010));
    live(&cluster, 100, items);
    assert_eq!(delivered(&cluster).len(), 410, "each once");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Lives that end at any commit, with a loss at each end, then a replay: nothing twice whatever the window's size,
    /// and nothing lost where it holds every id.
    #[test]
    fn replays_after_crashes(
        lives in prop::collection::vec((1u64..80, 0u64..20, 0usize..12, any::<bool>()), 1..5), small in any::<bool>(),
    ) {
        let cluster = Arc::<Mutex<Cluster>>::default();
        let max_ids = if small { 60 } else { 100_000 };
        let mut sent = 0;
        for (take, lose, commits, replays) in lives {
            let mut items = if replays { replay(sent) } else { Vec::new() };
            items.push(hits(sent..sent + take));
            items.push(Item::Note(Note::Lost { how: Loss::BrokeOff, replay_owed: true }));
            sent += take + lose;
            items.push(hits(sent..sent + take));
            sent += take;
            let faults = std::iter::repeat_n(Fault::None, commits).chain([Fault::Fenced]);
            cluster.lock().unwrap().faults = faults.collect();
            live(&cluster, max_ids, items);
            cluster.lock().unwrap().faults.clear();
        }
        let (exit, resume) = live(&cluster, max_ids, replay(sent));
        prop_assert_eq!(exit, Exit::Stopped);
        let owed = matches!(resume.position, Some(Position::Watermark(mark)) if mark.owed_from_ms.is_some());
        prop_assert!(owed || resume.may_have_lost());
        let mut all = delivered(&cluster);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        prop_assert_eq!(all.len(), count, "an event came twice");
        if !small {
            prop_assert_eq!(all, (0..sent).collect::<Vec<_>>());
        }
    }
}
