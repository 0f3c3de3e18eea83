//! A broker of a test's own, to be stopped, paused and killed. Always from Maven's jars: a container's ports and
//! signals would be another matter.

use super::network::Network;
use super::{Broker, free_port, java, nodes};
use crate::harness::wait;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

/// A controlled shutdown takes a second; with a client in mid-transaction more.
const STOP_LIMIT: Duration = Duration::from_secs(90);

/// After a SIGKILL the controller takes the broker back only when the session of its former self is over, by default 9 s.
const SOON_AGAIN: [(&str, &str); 2] =
    [("broker.session.timeout.ms", "3000"), ("broker.heartbeat.interval.ms", "500")];

/// Derefs to [`Broker`]; dropping it kills the broker and removes its data.
pub(crate) struct PrivateBroker {
    java: java::Java,
    broker: Broker,
}

/// Starts a broker for the calling test alone: 3-5 s on an idle machine, about 300 MiB. It may be paused and stopped.
#[track_caller]
pub(crate) fn private_broker() -> PrivateBroker {
    start(&java::PATIENT)
}

/// The same, to be killed and started again.
#[track_caller]
pub(crate) fn killable_broker() -> PrivateBroker {
    start(&SOON_AGAIN)
}

/// A private broker that also listens at the returned address, for users with a password (SCRAM-SHA-512, see
/// [`PrivateBroker::set_password`]) that they have to give again every `session`.
#[track_caller]
pub(crate) fn scram_broker(session: Duration) -> (PrivateBroker, String) {
    let session = session.as_millis().to_string();
    sasl_broker(
        "SCRAM-SHA-512",
        &[
            (
                "listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config",
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            ),
            ("listener.name.sasl_plaintext.scram-sha-512.connections.max.reauth.ms", &session),
        ],
    )
}

/// A private broker that also listens at the returned address for users with a token (SASL/OAUTHBEARER). It takes each token without a
/// signature that has a subject and is not over, see [`unsigned_token`].
#[track_caller]
pub(crate) fn oauth_broker() -> (PrivateBroker, String) {
    sasl_broker(
        "OAUTHBEARER",
        &[(
            "listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config",
            "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
             unsecuredLoginStringClaim_sub=\"broker\";",
        )],
    )
}

/// A token that [`oauth_broker`] takes until `expires`, seconds since the Unix epoch.
pub(crate) fn unsigned_token(expires: u64) -> String {
    let part = |json: String| BASE64_URL_SAFE_NO_PAD.encode(json);
    let claims = format!(r#"{{"sub":"tributary","iat":{},"exp":{expires}}}"#, expires.saturating_sub(3_600));
    format!("{}.{}.", part(r#"{"alg":"none"}"#.to_owned()), part(claims))
}

/// A private broker with an authorizer, which also listens at the returned address for the user `tributary` with the
/// password `secret` (SASL/PLAIN). That user may do what [`PrivateBroker::allow`] says and nothing else; tests, which
/// come in at the other address, may do everything.
#[track_caller]
pub(crate) fn acl_broker() -> (PrivateBroker, String) {
    sasl_broker(
        "PLAIN",
        &[
            (
                "listener.name.sasl_plaintext.plain.sasl.jaas.config",
                "org.apache.kafka.common.security.plain.PlainLoginModule required user_tributary=\"secret\";",
            ),
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
            ("super.users", "User:ANONYMOUS"),
        ],
    )
}

/// A private broker that also listens at the returned address, where this SASL mechanism is asked for, with these properties.
#[track_caller]
fn sasl_broker(mechanism: &str, more: &[(&'static str, &str)]) -> (PrivateBroker, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let listener = format!("SASL_PLAINTEXT://{address}");
    let listening: [(&'static str, &str); 4] = [
        ("listeners", &listener),
        ("advertised.listeners", &listener),
        ("listener.security.protocol.map", "SASL_PLAINTEXT:SASL_PLAINTEXT"),
        ("sasl.enabled.mechanisms", mechanism),
    ];
    (start(&[&listening, more].concat()), address)
}

/// A right: resource type, pattern type, resource name, operation, as Kafka's Java client spells them.
pub(crate) type Right = [String; 4];

/// So many brokers that are one cluster, where everything has three replicas of which two must be in sync.
#[track_caller]
pub(crate) fn cluster(count: usize) -> Vec<PrivateBroker> {
    start_cluster(count, None)
}

/// The same, each broker on a machine of its own. Takes root.
#[track_caller]
pub(crate) fn cluster_in_network(count: usize) -> (Vec<PrivateBroker>, Network) {
    let network = Network::new(count).unwrap_or_else(|why| panic!("no network of {count} machines: {why}"));
    (start_cluster(count, Some(&network)), network)
}

#[track_caller]
fn start_cluster(count: usize, network: Option<&Network>) -> Vec<PrivateBroker> {
    let started = nodes::start("Java, private", count, network);
    let nodes = started.unwrap_or_else(|why| panic!("no cluster of {count} brokers: {why}"));
    nodes.into_iter().map(|(java, broker)| PrivateBroker { java, broker }).collect()
}

/// A private broker with these properties beside the usual ones.
#[track_caller]
pub(super) fn start(extra: &[(&'static str, &str)]) -> PrivateBroker {
    match java::start("Java, private", extra) {
        Ok((java, broker)) => PrivateBroker { java, broker },
        Err(why) => panic!(
            "this test stops and starts a broker of its own, which takes Java 17 or newer and Maven (no other broker \
             will do): {why}"
        ),
    }
}

impl PrivateBroker {
    /// SIGSTOP: connections stay open and nothing is answered. See [`PrivateBroker::resume`].
    pub(crate) fn pause(&mut self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT, after [`PrivateBroker::pause`].
    pub(crate) fn resume(&mut self) {
        self.signal(Signal::SIGCONT);
    }

    /// SIGTERM, and waits for the controlled shutdown. Data and ports are kept for [`PrivateBroker::start`].
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        self.wait_end();
    }

    /// SIGKILL: as a machine that loses power, but for the page cache, which survives.
    #[track_caller]
    pub(crate) fn kill9(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait_end();
    }

    /// Starts it again with its data on its ports, and waits until it answers.
    #[track_caller]
    pub(crate) fn start(&mut self) {
        match self.java.start("Java, private") {
            Ok(broker) => self.broker = broker,
            Err(why) => panic!("the broker did not start again: {why}"),
        }
    }

    /// Gives a user a password, instead of the one it had. Sessions go on until they have to be renewed.
    #[track_caller]
    pub(crate) fn set_password(&self, user: &str, password: &str) {
        let added = format!("SCRAM-SHA-512=[iterations=4096,password={password}]");
        let arguments = ["--alter", "--entity-type", "users", "--entity-name", user, "--add-config", &added];
        if let Err(why) = self.java.tool("kafka.admin.ConfigCommand", &arguments) {
            panic!("the password was not set: {why}");
        }
    }

    /// Changes one setting of a topic.
    #[track_caller]
    pub(crate) fn set_topic(&self, topic: &str, setting: &str) {
        let arguments =
            ["--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", setting];
        if let Err(why) = self.java.tool("kafka.admin.ConfigCommand", &arguments) {
            panic!("{setting} of {topic} was not set: {why}");
        }
    }

    /// Gives the user of [`acl_broker`] rights.
    #[track_caller]
    pub(crate) fn allow(&self, rights: &[Right]) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/harness/java/Acls.java");
        let arguments: Vec<String> = rights.iter().flatten().cloned().collect();
        if let Err(why) = self.java.program(&source, &arguments) {
            panic!("the rights were not given: {why}");
        }
    }

    /// Lets clients of this id write so many bytes a second.
    #[track_caller]
    pub(crate) fn limit_producer(&self, client_id: &str, bytes: u32) {
        let added = format!("producer_byte_rate={bytes}");
        let entity = ["--entity-type", "clients", "--entity-name", client_id];
        let arguments = [&["--alter"], &entity[..], &["--add-config", &added]].concat();
        if let Err(why) = self.java.tool("kafka.admin.ConfigCommand", &arguments) {
            panic!("the quota was not set: {why}");
        }
    }

    /// Its memory, for tests that report it.
    pub(crate) fn pid(&mut self) -> u32 {
        self.java.child().id()
    }

    fn signal(&mut self, signal: Signal) {
        let pid = i32::try_from(self.pid()).expect("a pid");
        kill(Pid::from_raw(pid), signal).expect("the broker is running");
    }

    #[track_caller]
    fn wait_end(&mut self) {
        let child = self.java.child();
        if wait::poll(STOP_LIMIT, || child.try_wait().expect("our child")).is_none() {
            let log = fs::read_to_string(self.java.log()).unwrap_or_default();
            panic!("the broker did not stop in {STOP_LIMIT:?}: {}", super::run::tail(&log));
        }
        self.java.ended();
    }
}

impl Deref for PrivateBroker {
    type Target = Broker;

    fn deref(&self) -> &Broker {
        &self.broker
    }
}
