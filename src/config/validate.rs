//! Raw configuration to the stages' configurations: fills in derived defaults, then judges every value.
//!
//! Invariant: nothing stops at the first problem; each check notes its own and hands on what it can. A
//! [`Config`] comes out only of a configuration without problems.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::checks::{LONGEST_TOPIC, at_least_one, bytes, is_topic, positive, range, required, size};
use super::errors::{Errors, Path};
use super::raw::{self, Raw};
use super::stream::collisions;
use super::stream::common::Surroundings;
use super::{Config, http, properties, traces, webhook};
use crate::event::dedupe;
use crate::plan::{self, Plan};
use crate::shard::batch;
use crate::sink::kafka;
use crate::sink::kafka::group::Group;
use crate::web::client;

/// The journal is kept at least so long: a stop may last as long as the service keeps events (7 days), and the ids of before
/// it are needed after it.
const SHORTEST_JOURNAL: Duration = Duration::from_secs(8 * 86_400);
/// What an id takes in the journal at most, where each commit brings one: its record and the transaction's marker.
const JOURNAL_BYTES_PER_ID: u64 = 320;
/// Room in the journal besides, for batches that were aborted.
const JOURNAL_SPARE_BYTES: u64 = 64 << 20;
/// An instance could not say often enough that it lives.
const SHORTEST_SESSION: Duration = Duration::from_secs(1);
/// What librdkafka takes.
const LONGEST_SESSION: Duration = Duration::from_secs(3_600);
/// librdkafka refuses a shorter `transaction.timeout.ms`.
const SHORTEST_TRANSACTION: Duration = Duration::from_secs(1);
/// Milliseconds of `transaction.timeout.ms` are a signed 32-bit number.
const LONGEST_TRANSACTION: Duration = Duration::from_millis(i32::MAX as u64);
/// A queue or a batch above this would not fit into the machines that this runs on.
const LARGEST_BUFFER: u64 = 1 << 30;
/// Ids take 16 bytes and an index: this is some gigabytes a shard.
const MOST_IDS: usize = 100_000_000;
/// librdkafka's queue counts messages up to this; a batch must fit.
const MOST_EVENTS: usize = 10_000_000;
/// The longest ending of a state topic's name.
const LONGEST_ENDING: usize = ".dead-letters".len();
/// Stream names are part of transactional ids and metric labels.
const LONGEST_NAME: usize = 100;

/// Fills in the defaults that follow from other keys, and hides secrets written as plain text.
pub(super) fn resolve(raw: &mut Raw) {
    properties::hide(&mut raw.kafka.properties);
    // An illegal prefix is one problem, not one more for each stream.
    let prefix = if is_topic(&raw.state.prefix) { &*raw.state.prefix } else { "tributary" };
    let dead_letters = format!("{prefix}.dead-letters");
    for stream in &mut raw.stream {
        stream.resolve(&dead_letters);
    }
}

/// Judges every value. `numbers` are the streams' indices in the configuration, since a stream of an unknown
/// kind is not in `raw`.
pub(super) fn validate(raw: &Raw, numbers: &[usize], errors: &mut Errors) -> Option<Config> {
    let group = group(raw, errors);
    let http = http::validate(&raw.http, errors);
    let kafka = kafka(raw, http.clone(), errors);
    let traces = traces::validate(&raw.traces, errors);
    let batch = commit(raw, errors);
    let dedupe = dedupe(&raw.dedupe, errors);
    positive(raw.shutdown.timeout, &Path::top("shutdown").key("timeout"), errors);
    size(raw.queue.max_bytes, LARGEST_BUFFER, &Path::top("queue").key("max_bytes"), errors);
    let admin = admin(&raw.admin, errors);

    let path = Path::top("stream");
    errors.add_if(raw.stream.is_empty(), &path, "missing: at least one [[stream]] is needed");
    names(raw, numbers, errors);
    let surroundings = Surroundings {
        state: state_topics(raw),
        prefix: raw.state.prefix.clone(),
        queue_bytes: bytes(raw.queue.max_bytes),
        window: raw.dedupe.window.0,
        http: http.unwrap_or_default(),
    };
    let judged = raw.stream.iter().zip(numbers);
    let judged = judged.map(|(stream, number)| stream.validate(&surroundings, &path.index(*number), errors));
    let mut streams: Vec<Option<plan::Stream>> = judged.collect();
    collisions::check(&raw.stream, numbers, errors);
    // A dead-letter topic may be configured for events too, but no value may name it.
    let dead_letters: Vec<String> =
        streams.iter().flatten().map(|stream| stream.dead_letter_topic.clone()).collect();
    for stream in streams.iter_mut().flatten() {
        stream.route.reserved.extend_from_slice(&dead_letters);
    }
    let webhook = webhook::validate(raw, numbers, &streams, errors);
    Some(Config {
        plan: Plan {
            streams: streams.into_iter().collect::<Option<_>>()?,
            kafka: kafka?,
            batch,
            dedupe,
            shutdown_timeout: raw.shutdown.timeout.0,
            generation: raw.generation,
            group,
            webhook: webhook?,
            traces: traces?,
        },
        admin: admin?,
        log: raw.log.filter.clone(),
        effective: raw.clone(),
    })
}

/// Topics that hold the connector's state, those of streams of another kind included.
fn state_topics(raw: &Raw) -> Vec<String> {
    let prefix = &raw.state.prefix;
    let own = ["checkpoints", "ids", "replays", "shards"].map(|ending| format!("{prefix}.{ending}"));
    let names = raw.stream.iter().filter_map(|stream| stream.common().name.as_deref());
    own.into_iter().chain(names.map(|name| format!("{prefix}.{name}.intake"))).collect()
}

fn group(raw: &Raw, errors: &mut Errors) -> Option<Group> {
    let session = raw.session_timeout;
    let in_range = (SHORTEST_SESSION..=LONGEST_SESSION).contains(&session.0);
    errors.add_if(!in_range, &Path::top("session_timeout"), "must be between 1s and 1h");
    let given = raw.instance_id.as_deref();
    let legal = given.is_none_or(is_topic);
    let message = "expected up to 249 letters, digits, `.`, `_` and `-`";
    errors.add_if(!legal, &Path::top("instance_id"), message);
    if raw.ownership == raw::Ownership::Static {
        let message = "is for ownership = \"group\"; with \"static\" it has no effect";
        errors.add_if(given.is_some(), &Path::top("instance_id"), message);
        return None;
    }
    Some(Group {
        instance_id: given.map_or_else(host_name, str::to_owned),
        session_timeout: session.0,
        release_timeout: raw.shutdown.timeout.0,
    })
}

/// The host's name, with what an instance id may not hold replaced.
fn host_name() -> String {
    let name = gethostname::gethostname();
    let allowed = |letter: char| if is_topic(letter.encode_utf8(&mut [0; 4])) { letter } else { '-' };
    let name: String = name.to_string_lossy().chars().map(allowed).take(LONGEST_TOPIC).collect();
    if name.is_empty() { "tributary".to_owned() } else { name }
}

fn kafka(raw: &Raw, http: Option<client::Config>, errors: &mut Errors) -> Option<kafka::config::Config> {
    let path = Path::top("kafka");
    let servers = required(raw.kafka.bootstrap_servers.as_ref(), &path.key("bootstrap_servers"), errors);
    if let Some(servers) = servers {
        let path = path.key("bootstrap_servers");
        let message = "a credential does not belong into the address: use kafka.properties with \"sasl.username\" and \"sasl.password\"";
        errors.add_if(servers.contains('@'), &path, message);
        let wrong = servers.split(',').find(|server| !is_server(server.trim()));
        let message = "expected host:port of each broker, separated by commas";
        errors.add_if(wrong.is_some(), &path, message);
    }
    let timeout = raw.kafka.transaction_timeout;
    let timeout_path = path.key("transaction_timeout");
    let in_range = (SHORTEST_TRANSACTION..=LONGEST_TRANSACTION).contains(&timeout.0);
    errors.add_if(!in_range, &timeout_path, "must be 1s or longer, and shorter than 25 days");
    let properties = properties::validate(&raw.kafka.properties, &path.key("properties"), errors);

    let state = Path::top("state");
    let prefix = &raw.state.prefix;
    let legal = is_topic(prefix) && prefix.len() + LONGEST_ENDING <= LONGEST_TOPIC;
    let message = "expected the beginning of a topic name: letters, digits, `.`, `_` and `-`";
    errors.add_if(!legal, &state.key("prefix"), message);
    at_least_one(raw.state.replication_factor, &state.key("replication_factor"), errors);

    let max_message_bytes = raw.kafka.max_message_bytes.map(|limit| {
        size(limit, LARGEST_BUFFER, &Path::top("kafka").key("max_message_bytes"), errors);
        usize::try_from(limit.0).unwrap_or(usize::MAX)
    });

    Some(kafka::config::Config {
        bootstrap_servers: servers?.clone(),
        properties,
        http: http?,
        delivery: match raw.delivery {
            raw::Delivery::ExactlyOnce => kafka::config::Delivery::ExactlyOnce,
            raw::Delivery::AtLeastOnce => kafka::config::Delivery::AtLeastOnce,
        },
        transaction_timeout: timeout.0,
        create_topics: raw.kafka.create_topics,
        max_message_bytes,
        prefix: prefix.clone(),
        state_replication_factor: raw.state.replication_factor,
        journal_retention: raw.dedupe.window.0.max(SHORTEST_JOURNAL),
        check_settings: true,
        journal_bytes: (raw.dedupe.max_ids as u64)
            .saturating_mul(JOURNAL_BYTES_PER_ID)
            .saturating_add(JOURNAL_SPARE_BYTES),
    })
}

/// `host:port`, `host` or `[v6]:port`; librdkafka adds the port where there is none.
fn is_server(server: &str) -> bool {
    let server = server.split_once("://").map_or(server, |(_, server)| server);
    let port_fits = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let host_fits = |host: &str| !host.is_empty() && !host.contains([' ', '/', '\t', '\n']);
    match server.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host_fits(host) && port_fits(port),
        _ => host_fits(server),
    }
}

fn commit(raw: &Raw, errors: &mut Errors) -> batch::Config {
    let path = Path::top("commit");
    let commit = &raw.commit;
    positive(commit.interval, &path.key("interval"), errors);
    let message = "must be shorter than kafka.transaction_timeout, or every transaction would time out";
    errors.add_if(commit.interval >= raw.kafka.transaction_timeout, &path.key("interval"), message);
    range(commit.max_events, MOST_EVENTS, &path.key("max_events"), errors);
    size(commit.max_bytes, LARGEST_BUFFER, &path.key("max_bytes"), errors);
    batch::Config {
        interval: commit.interval.0,
        max_events: commit.max_events,
        max_bytes: bytes(commit.max_bytes),
    }
}

fn dedupe(dedupe: &raw::Dedupe, errors: &mut Errors) -> dedupe::Config {
    let path = Path::top("dedupe");
    positive(dedupe.window, &path.key("window"), errors);
    range(dedupe.max_ids, MOST_IDS, &path.key("max_ids"), errors);
    dedupe::Config { window: dedupe.window.0, max_ids: dedupe.max_ids }
}

fn admin(admin: &raw::Admin, errors: &mut Errors) -> Option<Option<SocketAddr>> {
    let path = Path::top("admin").key("listen");
    let Ok(listen) = admin.listen.parse() else {
        let message =
            "expected an address and a port, such as \"127.0.0.1:9464\", \"0.0.0.0:9464\" or \"[::]:9464\"";
        errors.add(&path, message);
        return None;
    };
    Some(admin.enabled.then_some(listen))
}

fn names(raw: &Raw, numbers: &[usize], errors: &mut Errors) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (stream, number) in raw.stream.iter().zip(numbers) {
        let path = Path::top("stream").index(*number).key("name");
        let Some(name) = required(stream.common().name.as_deref(), &path, errors) else { continue };
        match seen.get(name) {
            Some(first) => errors.add(&path, format!("stream[{first}] has this name already")),
            None => {
                seen.insert(name, *number);
            }
        }
        if name.contains('.') {
            let message = "must not hold `.`: the transactional id is <state.prefix>.<name>.<shard>, and with a point in \
                           the name two streams of different prefixes could have the same";
            errors.add(&path, message);
            continue;
        }
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let legal = !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(is_legal);
        errors.add_if(!legal, &path, "expected 1 to 100 letters, digits, `_` and `-`");
    }
}
