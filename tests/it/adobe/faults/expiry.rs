//! Tokens that expire in mid-stream, in each way in which the service may show it.

use crate::harness::adobe::scenes::{Scene, Setup, held};
use tributary_mock::adobe::{Config, OnExpiry};
use tributary_mock::fault::Fault;

const HITS: u64 = 3_000;

/// When so many hits are there, tokens expire and the rest begins to flow.
const EARLY: u64 = 1_200;

const WAYS: [(&str, OnExpiry); 4] =
    [("cut", OnExpiry::Cut), ("line", OnExpiry::Line), ("text", OnExpiry::Text), ("keep", OnExpiry::Keep)];

#[test]
fn one_refresh_and_an_immediate_reconnect() {
    let setup = WAYS.iter().fold(Setup::new("expiry"), |setup, (name, on_expiry)| {
        setup.add(name, Config { on_expiry: *on_expiry, ..held(HITS, EARLY) }, "max_connections = 2")
    });
    let mut scene = setup.start();
    for (name, on_expiry) in WAYS {
        scene.wait_delivered(name, EARLY);
        scene.wait_quiet(name);
        let mock = scene.mock(name);
        if on_expiry == OnExpiry::Keep {
            mock.expire_tokens();
            // The stream goes on; who connects later learns of it.
            mock.release(EARLY + 500);
            scene.wait_delivered(name, EARLY + 500);
            assert_eq!(scene.stats(name).streams, 2);
            mock.release(HITS);
            mock.disconnect(Fault::Eof {});
        } else {
            mock.release(HITS);
            mock.expire_tokens();
        }
    }
    for (name, _) in WAYS {
        scene.wait_mock(name, "both to be back", |stats| stats.streams == 4);
    }
    scene.finish_all();
    for (name, on_expiry) in WAYS {
        let stats = scene.stats(name);
        assert_eq!(stats.minted, 2, "{name}: one refresh for both connections");
        let refused = stats.statuses.get(&401).copied().unwrap_or_default();
        match on_expiry {
            OnExpiry::Line | OnExpiry::Text => {
                assert_eq!(refused, 0, "{name}: the text was understood");
                let lines = scene.lines(name, "`not authorized` in place of events");
                assert_eq!(lines.len(), 2, "{lines:#?}");
            }
            // Only one of both need see it.
            OnExpiry::Cut | OnExpiry::Keep => assert!((1..=2).contains(&refused), "{name}: {refused}"),
        }
        assert_once_and_at_once(&scene, name);
    }
}

#[track_caller]
fn assert_once_and_at_once(scene: &Scene, name: &str) {
    let pauses = scene.pauses(name, "unauthorized");
    assert!(!pauses.is_empty() && pauses.iter().all(|ms| *ms == 0), "{name}: {pauses:?}");
    let alarms = scene.lines(name, "cannot connect until this is mended");
    assert!(alarms.is_empty(), "{alarms:#?}");
}
