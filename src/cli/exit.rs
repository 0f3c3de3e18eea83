//! The exit codes, which are part of the interface: see docs/operations.md.

/// Everything asked for was done.
pub(super) const OK: u8 = 0;
/// Something unexpected failed, or a `--reset` was refused; the log says what.
pub(super) const FAILURE: u8 = 1;
/// The command line is wrong.
pub(super) const USAGE: u8 = 2;
/// The configuration is wrong, in itself or for what Kafka holds; every problem was printed or logged.
pub(super) const CONFIG: u8 = 3;
/// Another instance announced itself later and runs at least one of the same streams; this one gave up all of its own.
pub(super) const FENCED: u8 = 4;
/// `shutdown.timeout` was over before everything was committed; nothing is lost, it comes again.
pub(super) const SHUTDOWN_TIMEOUT: u8 = 5;
/// `demo --kafka` counted something else than it should have.
pub(super) const MISCOUNT: u8 = 6;
/// `check`: Kafka cannot be reached, refuses the credentials, or takes no transaction of this configuration.
pub(super) const KAFKA: u8 = 7;
/// `check`: a topic is missing and cannot be made, is not as it must be, or may not be used.
pub(super) const TOPICS: u8 = 8;
/// `check`: a stream cannot be opened, or its receiver cannot work.
pub(super) const STREAMS: u8 = 9;
/// `check`: this machine does not have what the configuration takes.
pub(super) const MACHINE: u8 = 10;
/// A second signal ended the process at once (128 + SIGINT, as shells have it).
pub(super) const INTERRUPTED: u8 = 130;
