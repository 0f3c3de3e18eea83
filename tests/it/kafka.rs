//! What Kafka does to a connector: brokers that stand still, refuse, ask for credentials or lack rights.

mod broker_faults;
mod client;
mod rights;
mod secrets;
mod write_path;
