//! A broker from Maven's jars, in a JVM of its own: no Docker, no installation.
//!
//! Jars and a formatted data directory are prepared once and kept in `target/kafka/`; a lock file keeps test processes
//! that start together from preparing them together. Each broker works on a copy in a `run-*` directory, which goes
//! when its broker goes; those that a crash left behind go at the next start.

use super::run::{run, tail};
use super::{Broker, START_LIMIT, dir, free_port, network, version};
use crate::harness::watchdog::Watchdog;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

/// Enough for a million small records: what is read back comes from the page cache, not from the heap.
pub(super) const HEAP: &str = "-Xmx512m";

/// Any 16 bytes in base64; all brokers of the tests are copies of one formatted directory.
pub(super) const CLUSTER_ID: &str = "dHJpYnV0YXJ5LXRlc3RzMQ";

/// Maven fetches 43 MB; the JVM that formats takes 1.5 s.
const PREPARE_LIMIT: Duration = Duration::from_secs(300);

/// Another process may have taken a port since it was found free.
const ATTEMPTS: usize = 3;

const POM: &str = include_str!("pom.xml");
const LOG4J: &str = include_str!("log4j2.properties");

/// A broker's JVM, its ports and its data directory. Dropping it kills the JVM and removes the directory.
pub(super) struct Java {
    host: String,
    port: u16,
    /// The network namespace that it runs in, if it is not that of the tests.
    netns: Option<String>,
    run_dir: RunDir,
    /// None while stopped.
    jvm: Option<(Child, Watchdog)>,
}

/// What a broker has besides that is not killed and started again, so that its session may be long. Where one stands still for
/// longer than that, the controller takes it for gone, and it tells clients of a cluster without brokers.
pub(super) const PATIENT: [(&str, &str); 1] = [("broker.session.timeout.ms", "60000")];

/// Starts the shared broker; it and its directory go when this process ends.
pub(super) fn start_shared() -> Result<Broker, String> {
    let (java, broker) = start("Java", &PATIENT)?;
    // A static is never dropped either; without this the broker would be dropped here.
    std::mem::forget(java);
    Ok(broker)
}

/// Starts a broker on free ports, with these properties on top of [`properties`]: one that stands there too is a list,
/// which grows.
pub(super) fn start(origin: &'static str, extra: &[(&'static str, &str)]) -> Result<(Java, Broker), String> {
    let prepared = prepared()?;
    tried(|| {
        let mut java = Java::new(prepared, extra).map_err(|error| format!("data directory: {error}"))?;
        java.start(origin).map(|broker| (java, broker))
    })
}

/// Starts something until it succeeds, or gives the error of the last attempt.
pub(super) fn tried<T>(mut start: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    for _ in 1..ATTEMPTS {
        if let Ok(started) = start() {
            return Ok(started);
        }
    }
    start()
}

impl Java {
    fn new(prepared: &'static Prepared, extra: &[(&'static str, &str)]) -> io::Result<Self> {
        let run_dir = RunDir::new(prepared)?;
        let (port, controller) = (free_port(), free_port());
        let data = run_dir.path.join("data");
        let mut all = properties("127.0.0.1", port, controller, &data.to_string_lossy());
        for (key, value) in extra {
            match all.iter_mut().find(|(known, _)| known == key) {
                Some((_, list)) => *list = format!("{list},{value}"),
                None => all.push((*key, (*value).to_owned())),
            }
        }
        Self::with_properties(run_dir, "127.0.0.1".to_owned(), port, None, all)
    }

    /// Not started yet: a broker that will listen at this address, in that network namespace if it is not that of the tests.
    pub(super) fn with_properties(
        run_dir: RunDir,
        host: String,
        port: u16,
        netns: Option<String>,
        properties: Vec<(&str, String)>,
    ) -> io::Result<Self> {
        write_properties(&run_dir.path.join("server.properties"), properties)?;
        Ok(Self { host, port, netns, run_dir, jvm: None })
    }

    /// Starts the JVM, again on the same ports and data, and waits until it answers.
    pub(super) fn start(&mut self, origin: &'static str) -> Result<Broker, String> {
        assert!(self.jvm.is_none(), "the broker is running");
        self.spawn().map_err(|error| format!("java: {error}"))?;
        self.reach(origin)
    }

    /// Waits until it answers.
    pub(super) fn reach(&mut self, origin: &'static str) -> Result<Broker, String> {
        let bootstrap = self.bootstrap();
        let broker = Broker::reach(&bootstrap, origin, START_LIMIT, &mut || match self.child().try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("the broker ended: {status}")),
            Err(error) => Err(error.to_string()),
        });
        broker.map_err(|why| {
            let log = fs::read_to_string(&self.run_dir.log).unwrap_or_default();
            format!("{why}; the end of {}:\n{}", self.run_dir.log.display(), tail(&log))
        })
    }

    fn bootstrap(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Starts the JVM.
    pub(super) fn spawn(&mut self) -> io::Result<()> {
        let prepared = self.run_dir.prepared;
        let log = File::options().create(true).append(true).open(&self.run_dir.log)?;
        // The serial collector and the first compiler only: 4 s to the first answer instead of 6, and fewer threads.
        let mut command = match &self.netns {
            None => java(prepared),
            Some(netns) => network::within(netns, &java(prepared)),
        };
        let child = command
            .args([HEAP, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"])
            .arg(format!("-Dlog4j2.configurationFile={}", prepared.log4j.display()))
            .arg("kafka.Kafka")
            .arg(self.run_dir.path.join("server.properties"))
            .current_dir(&self.run_dir.path)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let watchdog = Watchdog::kill(child.id(), Some(&self.run_dir.path))?;
        self.jvm = Some((child, watchdog));
        Ok(())
    }

    /// Runs a tool of Kafka's on the running broker.
    pub(super) fn tool(&self, class: &str, arguments: &[&str]) -> Result<String, String> {
        let bootstrap = self.bootstrap();
        let mut tool = java(self.run_dir.prepared);
        tool.arg("-XX:TieredStopAtLevel=1")
            .arg(class)
            .args(["--bootstrap-server", &bootstrap])
            .args(arguments);
        run(&mut tool, START_LIMIT)
    }

    /// Runs a program of one source file against the running broker, whose address is its first argument.
    pub(super) fn program(&self, source: &Path, arguments: &[String]) -> Result<String, String> {
        let mut program = java(self.run_dir.prepared);
        program.arg("-XX:TieredStopAtLevel=1").arg(source).arg(self.bootstrap());
        run(program.args(arguments), START_LIMIT)
    }

    /// The running JVM.
    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.jvm.as_mut().expect("the broker is running").0
    }

    /// To be called when the JVM has ended.
    pub(super) fn ended(&mut self) {
        self.jvm = None;
    }

    /// Where the broker logs.
    pub(super) fn log(&self) -> &Path {
        &self.run_dir.log
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        if let Some((mut child, _watchdog)) = self.jvm.take() {
            // Both fail only where it has ended already.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// `run-*`: configuration and data of one broker. A lock on a file in it shows that its process lives.
pub(super) struct RunDir {
    pub(super) path: PathBuf,
    log: PathBuf,
    prepared: &'static Prepared,
    _lock: File,
}

impl RunDir {
    pub(super) fn new(prepared: &'static Prepared) -> io::Result<Self> {
        let _all = lock(&dir())?;
        let name = super::unique_prefix("run");
        let path = dir().join(&name);
        let data = path.join("data");
        fs::create_dir_all(&data)?;
        let lock = lock(&path)?;
        for file in fs::read_dir(&prepared.formatted)? {
            let file = file?;
            fs::copy(file.path(), data.join(file.file_name()))?;
        }
        Ok(Self { path, log: dir().join(format!("{name}.log")), prepared, _lock: lock })
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // What stays is removed at the next start. The log stays: it is what a failed test is looked into with.
        fs::remove_dir_all(&self.path).ok();
    }
}

pub(super) struct Prepared {
    libs: PathBuf,
    formatted: PathBuf,
    log4j: PathBuf,
}

/// Jars and a formatted directory, which are made by the first to ask.
pub(super) fn prepared() -> Result<&'static Prepared, String> {
    static PREPARED: LazyLock<Result<Prepared, String>> = LazyLock::new(prepare);
    PREPARED.as_ref().map_err(Clone::clone)
}

fn prepare() -> Result<Prepared, String> {
    let dir = dir();
    let fail = |error: io::Error| format!("{}: {error}", dir.display());
    fs::create_dir_all(&dir).map_err(fail)?;
    let _lock = lock(&dir).map_err(fail)?;
    remove_stale(&dir).map_err(fail)?;
    let prepared = Prepared {
        libs: dir.join(format!("libs-{}", version())),
        formatted: dir.join(format!("formatted-{}", version())),
        log4j: dir.join("log4j2.properties"),
    };
    fs::write(&prepared.log4j, LOG4J).map_err(fail)?;
    made_whole(&prepared.libs, |new| {
        fs::write(new.join("pom.xml"), POM.replace("KAFKA_VERSION", version())).map_err(fail)?;
        let goal = ["--quiet", "--batch-mode", "dependency:copy-dependencies", "-DoutputDirectory=."];
        run(Command::new("mvn").args(goal).current_dir(new), PREPARE_LIMIT).map(drop)
    })?;
    made_whole(&prepared.formatted, |new| {
        let file = dir.join("format.properties");
        write_properties(&file, properties("127.0.0.1", 9092, 9093, &new.to_string_lossy())).map_err(fail)?;
        let mut format = java(&prepared);
        format
            .args(["kafka.tools.StorageTool", "format", &format!("--cluster-id={CLUSTER_ID}"), "-c"])
            .arg(file);
        run(&mut format, PREPARE_LIMIT).map(drop)
    })?;
    Ok(prepared)
}

/// Has `make` fill a new directory, which appears as `path` only when complete.
fn made_whole(path: &Path, make: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    if path.exists() {
        return Ok(());
    }
    let fail = |error: io::Error| format!("{}: {error}", path.display());
    let new = tempfile::tempdir_in(dir()).map_err(fail)?;
    make(new.path())?;
    fs::rename(new.keep(), path).map_err(fail)
}

/// Removes the directories and logs of runs whose process is gone.
fn remove_stale(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_run = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("run-"));
        if !is_run || !path.is_dir() {
            continue;
        }
        if File::open(path.join("lock")).is_ok_and(|file| file.try_lock().is_ok()) {
            // Its watchdog may be removing it too.
            fs::remove_dir_all(&path).ok();
        }
    }
    // Logs are kept for looking into, but only those of the last runs.
    let mut logs: Vec<_> = fs::read_dir(dir)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    logs.iter().rev().skip(KEPT_LOGS).try_for_each(fs::remove_file)
}

/// A run of all tests makes a handful.
const KEPT_LOGS: usize = 30;

/// Waits for the lock of a directory, which ends with the file or the process that holds it.
fn lock(dir: &Path) -> io::Result<File> {
    let file = File::create(dir.join("lock"))?;
    file.lock()?;
    Ok(file)
}

fn java(prepared: &Prepared) -> Command {
    let program = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    let mut command = Command::new(program.unwrap_or_else(|| PathBuf::from("java")));
    command.arg("-cp").arg(prepared.libs.join("*"));
    command
}

fn write_properties(file: &Path, properties: Vec<(&str, String)>) -> io::Result<()> {
    let lines: String = properties.into_iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    fs::write(file, lines)
}

/// The broker's configuration: broker and controller in one, everything of one replica, small and quick.
pub(super) fn properties(host: &str, port: u16, controller: u16, data: &str) -> Vec<(&'static str, String)> {
    vec![
        ("process.roles", "broker,controller".into()),
        ("node.id", "1".into()),
        ("controller.quorum.voters", format!("1@127.0.0.1:{controller}")),
        ("listeners", format!("PLAINTEXT://{host}:{port},CONTROLLER://127.0.0.1:{controller}")),
        ("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{port}")),
        ("controller.listener.names", "CONTROLLER".into()),
        ("inter.broker.listener.name", "PLAINTEXT".into()),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".into()),
        ("log.dirs", data.into()),
        ("auto.create.topics.enable", "false".into()),
        ("num.partitions", "1".into()),
        ("default.replication.factor", "1".into()),
        ("offsets.topic.replication.factor", "1".into()),
        ("offsets.topic.num.partitions", "4".into()),
        ("transaction.state.log.replication.factor", "1".into()),
        ("transaction.state.log.min.isr", "1".into()),
        ("transaction.state.log.num.partitions", "4".into()),
        // The first member of a group need not wait for others.
        ("group.initial.rebalance.delay.ms", "0".into()),
        // Tests may lose members quickly (the default is 6 s).
        ("group.min.session.timeout.ms", "1000".into()),
        // A transaction ends this soon after its timeout (the default is 10 s).
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000".into()),
        // The mock's events are months old by default: 30 s after its start a broker would begin to delete them.
        ("log.retention.ms", "-1".into()),
        // The default takes 128 MB of the heap.
        ("log.cleaner.dedupe.buffer.size", "8388608".into()),
    ]
}
