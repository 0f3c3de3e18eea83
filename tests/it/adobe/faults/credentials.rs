//! Tokens and secrets while all is well, while they are renewed and rotated, and while the token endpoint refuses.

use crate::harness::adobe::scenes::{CLIENT, PAUSE, SECRET, Setup, all_at_once, held, ims};
use crate::harness::wait::{self, GENEROUS};
use std::fs;
use std::time::Duration;
use tokio::time::Instant;
use tributary_mock::adobe::{Config, Seen, Stats};
use tributary_mock::fault::Fault;

const HITS: u64 = 1_000;
const HALF: u64 = 500;
const CONNECTIONS: u64 = 8;

fn token_requests(stats: &Stats) -> Vec<&Seen> {
    stats.requests.iter().filter(|seen| !seen.path.starts_with("/api/")).collect()
}

#[test]
fn one_token_for_all_connections_is_renewed_ahead_of_its_expiry() {
    let lifetime = Duration::from_secs(3);
    let config = Config { token_lifetime: lifetime, needs_api_key: true, ..held(HITS, HALF) };
    let since = Instant::now();
    let mut scene = Setup::one("renewal", config, "max_connections = 8").start();
    scene.wait_mock("s", "all connections", |stats| stats.open_streams == CONNECTIONS);
    let stats = scene.stats("s");
    let opened = stats.requests.iter().position(|seen| seen.stream.is_some()).unwrap();
    let first: Vec<_> = stats.requests.iter().take(opened).collect();
    let asked = first.iter().filter(|seen| seen.path == "/ims/token/v3").count();
    assert_eq!((asked, stats.statuses.get(&401)), (1, None), "{first:#?}");
    let asked = first.iter().find(|seen| seen.path == "/ims/token/v3").unwrap();
    // The mock checks client, secret and scope, which it finds nowhere but in the body.
    assert_eq!((asked.method.as_str(), asked.query.len(), &asked.scheme), ("POST", 0, &None));
    // The second token is older than the first one's life when the third is there.
    scene.wait_mock("s", "renewals", |stats| stats.minted >= 3);
    let stats = scene.stats("s");
    assert_eq!((stats.streams, stats.open_streams), (CONNECTIONS, CONNECTIONS), "nobody noticed");
    assert_eq!(stats.token_statuses.keys().collect::<Vec<_>>(), [&200]);
    assert_eq!(scene.metric("tributary_reconnects_total", "s"), 0.0);
    // Connections made now have the newest token: the first one is no longer good.
    scene.mock("s").disconnect(Fault::Eof {});
    scene.wait_mock("s", "reconnects", |stats| stats.streams == 2 * CONNECTIONS);
    scene.mock("s").release(HITS);
    scene.finish_all();
    let stats = scene.stats("s");
    assert_eq!(stats.faults["eof"], CONNECTIONS);
    assert_eq!(stats.statuses.get(&401), None);
    let most = since.elapsed().as_millis() / 2_700 + 2;
    assert!(u128::from(stats.minted) <= most, "a token each 2.7 s would be {most}, not {}", stats.minted);
}

#[test]
fn a_life_too_short_to_say_is_no_reason_to_hammer() {
    // `expires_in` is 0; the token is good for a moment, and streams outlive it.
    let config = Config { token_lifetime: Duration::from_millis(400), ..held(HITS, HALF) };
    let mut scene = Setup::one("short-life", config, "").start();
    let since = Instant::now();
    scene.wait_delivered("s", HALF);
    // Far more than there may be are waited for in vain; the limit is some pauses.
    wait::poll(PAUSE * 5, || (scene.stats("s").minted > 50).then_some(()));
    let stats = scene.stats("s");
    let most = since.elapsed().as_millis() / PAUSE.as_millis() + 3;
    assert!(u128::from(stats.minted) <= most, "{} tokens where {most} would do", stats.minted);
    scene.mock("s").release(HITS);
    scene.finish_all();
}

#[test]
fn secrets_are_rotated_without_a_restart_and_a_wrong_one_is_for_an_operator() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    fs::write(&file, "old-secret\n").unwrap();
    let config =
        Config { client_secrets: vec!["old-secret".into(), "new-secret".into()], ..held(HITS, HALF) };
    let auth = ims("{mock}", &format!("{{ file = {file:?} }}"));
    let mut scene = Setup::one("rotation", config, &format!("auth = {auth}\nmax_connections = 8")).start();
    let mock = scene.mock("s");
    let all_open = |stats: &Stats| stats.open_streams == CONNECTIONS;
    scene.wait_mock("s", "all connections", all_open);
    scene.wait_ready(200);

    scene.wait_quiet("s");
    // Both are good while the file is replaced; then the old one is removed.
    fs::write(&file, "new-secret\n").unwrap();
    mock.rotate_secrets(&["new-secret"]);
    mock.expire_tokens();
    mock.disconnect(Fault::Eof {});
    scene.wait_mock("s", "all connections again", |stats| stats.streams == 2 * CONNECTIONS);
    let stats = scene.stats("s");
    assert_eq!((stats.minted, &stats.token_statuses), (2, &[(200, 2)].into()), "once, with the new secret");
    assert!(stats.statuses[&401] >= 1, "the expiry was noticed: {:?}", stats.statuses);

    // The secret is removed and nobody has another one.
    mock.rotate_secrets(&["third-secret"]);
    mock.expire_tokens();
    let since = Instant::now();
    mock.disconnect(Fault::Eof {});
    scene.wait_ready(503);
    wait::wait_until(GENEROUS, "several attempts of each", || scene.reconnects("s", "credential") >= 40.0);
    let refused = scene.stats("s").token_statuses[&401];
    let pauses = since.elapsed().as_millis() / PAUSE.as_millis();
    assert!(u128::from(refused) <= pauses + 1, "{refused} requests in {pauses} pauses");
    assert_eq!(scene.readiness("s"), (false, "needs an operator".to_owned()));
    let lines = scene.lines("s", "check client_id and client_secret");
    assert!(lines.iter().all(|line| line.contains("\"level\":\"ERROR\"")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("401 from the token endpoint at 127.0.0.1")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("invalid_client")), "{lines:#?}");
    assert!(scene.pauses("s", "credential").iter().all(|ms| *ms >= 400), "slowly");

    fs::write(&file, "third-secret").unwrap();
    scene.wait_ready(200);
    mock.release(HITS);
    scene.finish_all();
    let log = scene.process.log().join("\n");
    assert!(!log.contains("old-secret") && !log.contains("third-secret"));
}

#[test]
fn a_throttled_token_endpoint_is_left_alone_by_all_connections() {
    let mut scene = Setup::one("throttle", held(HITS, HALF), "max_connections = 8").start();
    let mock = scene.mock("s");
    scene.wait_mock("s", "all connections", |stats| stats.open_streams == CONNECTIONS);
    scene.wait_quiet("s");
    // Before all of it: if this thread were late to see the refusal, the wait would seem too short.
    let since = Instant::now();
    mock.throttle(1, 2);
    mock.expire_tokens();
    mock.disconnect(Fault::Eof {});
    scene.wait_mock("s", "a throttled request", |stats| stats.token_statuses.contains_key(&429));
    scene.wait_mock("s", "a token", |stats| stats.minted == 2);
    let waited = since.elapsed();
    assert!(waited >= Duration::from_millis(1_800), "asked again after {waited:?}, not 2 s");
    scene.wait_mock("s", "all connections again", |stats| stats.streams == 2 * CONNECTIONS);
    assert!(scene.reconnects("s", "rate_limited") >= CONNECTIONS as f64, "all of them had to wait");
    assert_eq!(scene.reconnects("s", "credential"), 0.0);
    mock.release(HITS);
    scene.finish_all();
    let stats = scene.stats("s");
    assert_eq!(stats.token_statuses, [(200, 2), (429, 1)].into());
    assert_eq!(token_requests(&stats).len(), 3);
    assert!(!scene.lines("s", "too many tokens were asked for").is_empty());
}

#[test]
fn other_schemes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    fs::write(&file, "first-token\n").unwrap();
    let basic = format!(
        r#"
        auth = {{ oauth2 = {{ token_url = "{{mock}}/oauth2/token", client_id = "{CLIENT}", client_secret = {{ value = "{SECRET}" }}, scope = "livestream" }} }}
        api_key = "some-key"
        max_connections = 2
        "#
    );
    let bearer = format!("auth = {{ bearer = {{ file = {file:?} }} }}");
    let scope = Some("livestream".into());
    let mut scene = Setup::new("schemes")
        .add("basic", Config { scope, needs_api_key: true, ..all_at_once(HITS) }, &basic)
        .add("bearer", Config { bearer: Some("first-token".into()), ..held(HITS, HALF) }, &bearer)
        .start();

    scene.wait_delivered("bearer", HALF);
    let mock = scene.mock("bearer");
    mock.rotate_token("second-token");
    fs::write(&file, "second-token\n").unwrap();
    mock.disconnect(Fault::Eof {});
    scene.wait_mock("bearer", "a reconnect", |stats| stats.streams == 2);
    assert_eq!(scene.stats("bearer").statuses, [(200, 2)].into(), "the file was read again");
    // A token that is no longer good needs an operator, until the file has another.
    mock.rotate_token("third-token");
    mock.disconnect(Fault::Eof {});
    scene.wait_mock("bearer", "refusals", |stats| stats.statuses.get(&401).is_some_and(|count| *count >= 3));
    assert_eq!(scene.readiness("bearer"), (false, "needs an operator".to_owned()));
    fs::write(&file, "third-token\n").unwrap();
    scene.wait_mock("bearer", "a stream", |stats| stats.streams == 3);
    mock.release(HITS);

    scene.finish_all();
    let stats = scene.stats("basic");
    let asked = token_requests(&stats);
    assert_eq!((asked.len(), stats.minted), (1, 1));
    assert_eq!((asked[0].path.as_str(), asked[0].scheme.as_deref()), ("/oauth2/token", Some("basic")));
    assert_eq!(stats.statuses, [(200, 2)].into());
    assert_eq!(scene.stats("bearer").faults["eof"], 2);
    let refused = scene.lines("bearer", "401 the credential was refused; check that the token is good");
    assert_eq!(refused.len() as u64, scene.stats("bearer").statuses[&401], "{refused:#?}");
    assert!(!scene.process.log().iter().any(|line| line.contains("-token\"") || line.contains("d-token")));
}
