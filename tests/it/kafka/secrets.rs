//! Kafka's password, rotated in its file under a running connector, as Kubernetes does with a mounted secret: the
//! broker refuses the old one, the connector goes on with the new one, nothing is lost and nothing comes twice.

use crate::harness::airship::scenes::{Ended, Expected, Scene, Setup, held};
use crate::harness::broker::{PrivateBroker, scram_broker};
use crate::harness::wait;
use std::fs;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;
use tributary_mock::airship::Config;

const USER: &str = "tributary";
const OLD: &str = "old-password-3fd81c";
const NEW: &str = "new-password-a6604e";

/// How long a connection goes on before the broker wants the password again.
const SESSION: Duration = Duration::from_secs(3);

/// For a rotation to be over, on a busy machine.
const RECOVER: Duration = Duration::from_secs(120);

/// What librdkafka logs when the broker refuses the password, at the renewal of a session and at each connect after it.
const REFUSED: &str = "authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512";

struct Rotation {
    broker: PrivateBroker,
    scene: Scene,
    secrets: TempDir,
}

impl Rotation {
    /// A connector with the old password.
    #[track_caller]
    fn start(name: &str, airship: Config, kafka: &str, env: &[(&str, &str)]) -> Self {
        let (broker, address) = scram_broker(SESSION);
        broker.set_password(USER, OLD);
        let secrets = tempfile::tempdir().expect("a directory");
        let file = secrets.path().join("password");
        fs::write(&file, OLD).expect("the secret is written");
        let setup = Setup::new(name, airship).env("TRIBUTARY_LOG", "debug").stream("silence = \"120s\"");
        let setup = env.iter().fold(setup, |setup, (name, value)| setup.env(name, value));
        let setup = setup.top(&format!(
            r#"
            [kafka]
            bootstrap_servers = "{address}"
            {kafka}
            [kafka.properties]
            "security.protocol" = "SASL_PLAINTEXT"
            "sasl.mechanism" = "SCRAM-SHA-512"
            "sasl.username" = "{USER}"
            "sasl.password" = {{ file = {file:?} }}
            "#
        ));
        let scene = setup.start(&broker);
        Self { broker, scene, secrets }
    }

    /// A new password at the broker.
    #[track_caller]
    fn at_broker(&self) {
        assert_eq!(self.refusals(), 0, "the old password is good");
        self.broker.set_password(USER, NEW);
    }

    /// The new password in the file: all of it at once.
    #[track_caller]
    fn in_file(&self) {
        let next = self.secrets.path().join("next");
        fs::write(&next, NEW).expect("the secret is written");
        fs::rename(&next, self.secrets.path().join("password")).expect("the secret is replaced");
    }

    fn refusals(&self) -> usize {
        self.scene.process.log().iter().filter(|line| line.contains(REFUSED)).count()
    }

    /// The fault hits every client, the producer too: no session that began with the old password holds any more.
    #[track_caller]
    fn wait_refused(&self) {
        let rotated = Instant::now();
        wait::wait_until(RECOVER, "the broker to refuse the old password", || {
            self.refusals() > 0 && rotated.elapsed() > 2 * SESSION
        });
    }

    /// The same process delivers everything, with new clients.
    #[track_caller]
    fn finish(mut self, name: &str) -> Ended {
        let in_file = Instant::now();
        let expected = Expected::all(&self.scene.mock_log());
        wait::wait_until(RECOVER, "everything to arrive", || {
            self.scene.metric("tributary_events_delivered_total") >= expected.len() as f64
        });
        let took = in_file.elapsed();
        assert_eq!(self.scene.process.exited(), None, "it runs on");
        let metrics = self.scene.process.get("/metrics").body;
        let ended = self.scene.finish(&self.broker, &expected);
        ended.assert_no_dead_letters();
        assert!(ended.lines("\"opened\"").len() >= 2, "a producer was opened with the new password");
        assert_hidden(&ended, &metrics);
        println!(
            "{name}: {} events, {} refusals, opened {} times, all delivered {took:.1?} after the file's change",
            expected.len(),
            ended.lines(REFUSED).len(),
            ended.lines("\"opened\"").len(),
        );
        ended
    }
}

#[track_caller]
fn assert_hidden(ended: &Ended, metrics: &str) {
    for password in [OLD, NEW] {
        assert_eq!(ended.lines(password), Vec::<&str>::new());
        assert!(!metrics.contains(password), "the metrics show {password}");
    }
}

/// Events come all the time, and a commit may be under way, which waits for its whole timeout. The file follows when
/// the connector has begun to try.
#[test]
fn rotated_while_events_flow() {
    let airship = Config { rate: 2_500.0, backlog: 0, ..held(40_000, 30_000) };
    let rotation = Rotation::start("rotated-flow", airship, "transaction_timeout = \"10s\"", &[]);
    rotation.scene.wait_delivered(2_500);
    rotation.at_broker();
    rotation.wait_refused();
    rotation.scene.process.wait_for_log("cannot reach Kafka", RECOVER);
    rotation.in_file();
    rotation.scene.mock.release(40_000);
    drop(rotation.finish("while events flow"));
}

/// No transaction is under way when the old password is refused. The timeout is longer than the test waits: it is the
/// refusal that has a new producer opened.
#[test]
fn rotated_while_nothing_comes() {
    let rotation = Rotation::start("rotated-idle", held(6_000, 3_000), "transaction_timeout = \"10m\"", &[]);
    rotation.scene.wait_delivered(2_000);
    rotation.at_broker();
    rotation.wait_refused();
    rotation.in_file();
    rotation.scene.mock.release(6_000);
    drop(rotation.finish("while nothing comes"));
}

/// The old password is refused between the last record's acknowledgement and the commit. The clients that are kept for topics
/// had it too: none of them is asked with it once the producer was refused, which would take 15 s each.
#[test]
fn rotated_while_a_commit_is_under_way() {
    let directory = tempfile::tempdir().expect("a directory");
    let go = directory.path().join("go");
    let env = [
        ("TRIBUTARY_FAILPOINTS", "before_commit=3:hold"),
        ("TRIBUTARY_FAILPOINT_GO", go.to_str().expect("text")),
    ];
    let airship = Config { rate: 2_500.0, backlog: 0, ..held(6_000, 6_000) };
    let rotation = Rotation::start("rotated-commit", airship, "transaction_timeout = \"10m\"", &env);
    rotation.scene.process.wait_for_log("failpoint hit", RECOVER);
    rotation.at_broker();
    rotation.wait_refused();
    rotation.in_file();
    fs::write(&go, "").expect("written");
    let ended = rotation.finish("while a commit is under way");
    let failed = ended.lines("write failed").join("\n");
    assert_eq!(
        ended.lines("secrets and files are now read again").len(),
        1,
        "it was the commit that was refused:\n{failed}"
    );
    for old in ["cannot reach Kafka for the list of topics", "cannot read the topics' configuration"] {
        assert_eq!(ended.lines(old), Vec::<&str>::new(), "of\n{failed}");
    }
}
