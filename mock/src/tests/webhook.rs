//! The sender of webhooks over the wire: what a receiver gets, and what its answers lead to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::airship::webhook::{Config, Report, Secret, Sender};

/// A request as it arrived.
#[derive(Clone, Debug)]
struct Got {
    receiver: usize,
    headers: HeaderMap,
    /// `None` if it broke off.
    body: Option<Bytes>,
}

/// Receivers that note what they get.
struct Receivers {
    config: Config,
    got: Arc<Mutex<Vec<Got>>>,
    _tasks: JoinSet<()>,
}

impl Receivers {
    /// So many of them. `answer` has the receiver, and how many requests came before; without a status the connection is closed.
    async fn start(
        count: usize,
        events: u64,
        answer: impl Fn(usize, usize) -> Option<u16> + Send + Sync + 'static,
    ) -> Self {
        let (got, answer) = (Arc::new(Mutex::new(Vec::<Got>::new())), Arc::new(answer));
        let (mut addresses, mut tasks) = (Vec::new(), JoinSet::new());
        for receiver in 0..count {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.push(format!("http://{}/push", listener.local_addr().unwrap()).parse().unwrap());
            let (got, answer) = (Arc::clone(&got), Arc::clone(&answer));
            tasks.spawn(async move {
                let mut connections = JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (got, answer) = (Arc::clone(&got), Arc::clone(&answer));
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (got, answer) = (Arc::clone(&got), Arc::clone(&answer));
                        async move {
                            assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/push"));
                            let headers = request.headers().clone();
                            let body = request.into_body().collect().await.ok().map(|body| body.to_bytes());
                            let before = {
                                let mut got = got.lock().unwrap();
                                got.push(Got { receiver, headers, body });
                                got.len() - 1
                            };
                            let status = answer(receiver, before).ok_or("closed")?;
                            let response = Response::builder().status(status).body(Empty::<Bytes>::new());
                            Ok::<_, &str>(response.unwrap())
                        }
                    });
                    connections.spawn(async move {
                        // How it ends is the test's affair.
                        drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                    });
                }
            });
        }
        let fast = Duration::from_millis(1);
        let config = Config { pause: fast, longest_pause: fast, ..Config::to(addresses, events) };
        Self { config, got, _tasks: tasks }
    }

    async fn send(&self, change: impl FnOnce(&mut Config)) -> (Report, Vec<Got>) {
        let mut config = self.config.clone();
        change(&mut config);
        let sender = Sender::new(&config).unwrap();
        let report = sender.run().await;
        (report, std::mem::take(&mut *self.got.lock().unwrap()))
    }
}

/// Ids of a whole body, if it is JSON.
fn ids(body: &[u8]) -> Option<Vec<String>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let events = if let Value::Array(events) = value { events } else { vec![value] };
    events.iter().map(|event| Some(event["id"].as_str()?.to_owned())).collect()
}

fn counted(pairs: &[(u16, u64)]) -> BTreeMap<u16, u64> {
    pairs.iter().copied().collect()
}

#[tokio::test]
async fn a_request_looks_as_the_documents_say_and_shows_who_sends_it() {
    let receivers = Receivers::start(1, 25, |_, _| Some(200)).await;
    let (report, got) = receivers
        .send(|config| {
            config.gzip = true;
            config.basic = Some(Secret::new("user:pass:word"));
            config.headers = vec![Secret::new("X-Key:  open sesame "), Secret::new("x-more: 1")];
        })
        .await;
    assert_eq!((report.begun, report.acknowledged, report.events), (3, 3, 25));
    assert_eq!(report.answers, counted(&[(200, 3)]));
    assert!(report.is_complete() && report.p50_ms <= report.p99_ms && report.p50_ms.is_some());
    let mut found = Vec::new();
    for Got { headers, body, .. } in got {
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("content-type"), Some("application/json; charset=UTF-8"));
        let basic = format!("Basic {}", STANDARD.encode("user:pass:word"));
        assert_eq!(header("authorization"), Some(&*basic));
        assert_eq!((header("x-key"), header("x-more")), (Some("open sesame"), Some("1")));
        assert_eq!(header("content-encoding"), Some("gzip"));
        let mut decoder = MultiGzDecoder::new(Vec::new());
        decoder.write_all(&body.unwrap()).unwrap();
        found.extend(ids(&decoder.finish().unwrap()).unwrap());
    }
    let expected: Vec<String> =
        Sender::new(&receivers.config).unwrap().log().expected(0..25).map(|event| event.id).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn what_is_not_acknowledged_goes_to_the_next_receiver_until_it_is() {
    // The first receiver never answers, the second one is busy a few times.
    let answer = |receiver, before| match (receiver, before) {
        (0, _) => None,
        (_, ..5) => Some(503),
        (_, 5..8) => Some(429),
        _ => Some(200),
    };
    let receivers = Receivers::start(2, 100, answer).await;
    let (report, got) = receivers.send(|_| {}).await;
    assert_eq!((report.begun, report.acknowledged, report.given_up), (10, 10, 0));
    assert_eq!(report.retries, report.unanswered + report.answers[&503] + report.answers[&429]);
    assert!(report.unanswered >= 5 && report.answers[&200] == 10, "{report}");
    assert_eq!(got.len() as u64, 10 + report.retries);
    // Each retry has the same bytes and goes to the other one.
    for pair in got.windows(2).filter(|pair| pair[0].body == pair[1].body) {
        assert_ne!(pair[0].receiver, pair[1].receiver);
    }
    assert_eq!(got.iter().map(|got| got.body.clone()).collect::<BTreeSet<_>>().len(), 10);
}

#[tokio::test]
async fn what_is_refused_or_tried_for_too_long_is_given_up() {
    let receivers = Receivers::start(1, 30, |_, before| Some(if before == 1 { 401 } else { 200 })).await;
    let (report, _) = receivers.send(|_| {}).await;
    assert_eq!((report.begun, report.acknowledged, report.given_up, report.retries), (3, 2, 1, 0));
    assert!(!report.is_complete());
    assert!(report.trouble.as_ref().is_some_and(|why| why.ends_with("/push answered 401")), "{report}");
    let receivers = Receivers::start(1, 10, |_, _| Some(503)).await;
    let (report, _) = receivers.send(|config| config.give_up = Duration::ZERO).await;
    assert_eq!((report.given_up, report.answers), (1, counted(&[(503, 1)])));
}

#[tokio::test]
async fn repeats_slow_bodies_and_bad_ones_are_sent() {
    let receivers = Receivers::start(2, 60, |_, _| Some(200)).await;
    let (report, got) = receivers
        .send(|config| {
            (config.repeats, config.slow, config.bad) = (1.0, 1.0, 1.0);
            config.slow_time = Duration::from_millis(20);
        })
        .await;
    assert_eq!((report.begun, report.acknowledged, report.repeats, report.slow), (6, 6, 6, 6));
    assert_eq!(report.answers, counted(&[(200, 12)]));
    assert_eq!(report.p50_ms, None, "slow ones do not count");
    assert_eq!(report.bad.sent, 6);
    assert_eq!(report.bad.answers[&200] + report.bad.unanswered, 6);
    let whole: Vec<&Got> =
        got.iter().filter(|got| got.body.as_ref().is_some_and(|body| ids(body).is_some())).collect();
    assert_eq!(whole.len(), 12, "once slowly and once more");
    for pair in whole.chunks(2) {
        assert_eq!(pair[0].body, pair[1].body);
        assert_ne!(pair[0].receiver, pair[1].receiver, "a repeat goes elsewhere");
        assert!(pair[0].headers.contains_key("transfer-encoding"), "in pieces");
        assert!(pair[1].headers.contains_key("content-length"), "at once");
    }
    let broken = got.iter().filter(|got| got.body.is_none()).count() as u64;
    assert_eq!(broken, report.bad.unanswered);
}

#[tokio::test]
async fn it_stops_with_what_has_begun() {
    let receivers = Receivers::start(1, 1_000_000_000, |_, _| Some(200)).await;
    let config = Config { parallel: 4, rate: 1e9, batch: 1, ..receivers.config.clone() };
    let sender = Sender::new(&config).unwrap();
    let (running, mut tasks) = (sender.clone(), JoinSet::new());
    tasks.spawn(async move { running.run().await });
    while sender.report().acknowledged < 20 {
        tokio::task::yield_now().await;
    }
    sender.stop();
    let report = tasks.join_next().await.unwrap().unwrap();
    assert!(report.is_complete() && report.begun >= 20, "{report}");
    let bodies = receivers.got.lock().unwrap().clone();
    let found: BTreeSet<String> =
        bodies.iter().flat_map(|got| ids(got.body.as_ref().unwrap()).unwrap()).collect();
    let expected: BTreeSet<String> = sender.log().expected(0..report.begun).map(|event| event.id).collect();
    assert_eq!(found, expected, "the first ones, without a gap");
}

#[test]
fn what_cannot_be_sent_with_is_said_without_the_secret() {
    let config = Config::to(vec!["http://127.0.0.1:1/".parse().unwrap()], 1);
    for (config, why) in [
        (Config { basic: Some(Secret::new("hunter2")), ..config.clone() }, "expected USER:PASSWORD"),
        (Config { headers: vec![Secret::new("hunter2")], ..config.clone() }, "expected NAME: VALUE"),
        (Config { headers: vec![Secret::new("a b: hunter2")], ..config.clone() }, "expected NAME: VALUE"),
        (Config { ca: Some("/nowhere".into()), ..config.clone() }, "--ca /nowhere: "),
    ] {
        let error = Sender::new(&config).unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
    }
}
