//! The settings of the sender, as a plain struct and as flags of `tributary mock webhook`.
//!
//! Invariant: no secret is shown, be it in `Debug`, in the help or in an error.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::ArgPredicate::IsPresent;
use clap::value_parser;
use url::Url;

use crate::engine::clock::{Epoch, parse_epoch};
use crate::engine::feed::{ENDLESS, LIVE_RATE};
use crate::engine::limits::{self, MOST, MOST_HELD, share, span};

/// The most events of a request: what the largest real batch is, many times over.
const MOST_BATCH: u64 = 10_000;

/// Settings of the sender.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Where the receiver is, such as http://127.0.0.1:8443/airship; repeated, requests go to the addresses in turn, and a
    /// retry goes to the next one
    #[arg(long, required = true, value_name = "URL", value_parser = address)]
    pub to: Vec<Url>,
    /// Events of one request; a single one is sent as an object, more as an array
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..=MOST_BATCH))]
    pub batch: u64,
    // It stands before the number: clap fills defaults in by this order, and one that is filled in counts as given.
    /// Events a second; 0 for as fast as they are answered, as with --events unless given
    #[arg(long, default_value = LIVE_RATE, default_value_if("events", IsPresent, "0"), value_parser = limits::rate)]
    pub rate: f64,
    /// Events in all
    #[arg(long, default_value_t = ENDLESS, value_parser = value_parser!(u64).range(..=MOST))]
    pub events: u64,
    /// Requests that are under way at once
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u64).range(1..=MOST_HELD))]
    pub parallel: u64,
    /// Compress bodies
    #[arg(long)]
    pub gzip: bool,
    /// Seed of all events; other seeds give other ids
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// When the first event was processed: milliseconds since 1970, or `now`, for which without a rate the last event is of now
    #[arg(long, value_parser = parse_epoch, default_value = "now")]
    pub epoch: Epoch,

    /// User and password for HTTP Basic, as USER:PASSWORD. Better in the variable: other users of the machine see arguments
    #[arg(long, value_name = "USER:PASSWORD", env = "MOCK_WEBHOOK_BASIC", hide_env_values = true, value_parser = secret)]
    pub basic: Option<Secret>,
    /// A header of each request, as in 'X-Key: secret'; repeatable. Better in the variable
    #[arg(long = "header", value_name = "NAME: VALUE", env = "MOCK_WEBHOOK_HEADER", hide_env_values = true, value_parser = secret)]
    pub headers: Vec<Secret>,
    /// A file of certificates (PEM) to trust besides the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// How long an answer is waited for, the time of the body included
    #[arg(long, value_parser = span, default_value = "60s")]
    pub timeout: Duration,
    /// The pause before the first retry; each further one is twice as long
    #[arg(long, value_parser = span, default_value = "200ms")]
    pub pause: Duration,
    /// The longest pause
    #[arg(long, value_parser = span, default_value = "10s")]
    pub longest_pause: Duration,
    /// How long a request is tried
    #[arg(long, value_parser = span, default_value = "10m")]
    pub give_up: Duration,

    /// The share of requests that are sent once more although they were answered, to the next address; 0 to 1
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub repeats: f64,
    /// The share of requests whose body comes slowly at the first attempt
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub slow: f64,
    /// How long a slow body takes
    #[arg(long, value_parser = span, default_value = "2s")]
    pub slow_time: Duration,
    /// The share of requests before which a bad one is sent, which no one retries: its body breaks off, is cut JSON, no JSON,
    /// or holds an element without an id
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub bad: f64,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Config {
    /// For tests: so many events to these addresses, one request at a time and as fast as they are answered.
    pub fn to(addresses: Vec<Url>, events: u64) -> Self {
        Self {
            to: addresses,
            batch: 10,
            rate: 0.0,
            events,
            parallel: 1,
            gzip: false,
            seed: 1,
            epoch: Epoch::Now,
            basic: None,
            headers: Vec::new(),
            ca: None,
            timeout: Duration::from_secs(60),
            pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(10),
            give_up: Duration::from_secs(600),
            repeats: 0.0,
            slow: 0.0,
            slow_time: Duration::from_secs(2),
            bad: 0.0,
        }
    }
}

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Any text. What is wrong with it is said later, since clap's errors show the value.
fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

fn address(text: &str) -> Result<Url, String> {
    let url =
        Url::parse(text).map_err(|error| format!("expected an address such as http://host/path: {error}"))?;
    if !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
        return Err("expected an address that begins with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("no credential belongs into the address: use MOCK_WEBHOOK_BASIC".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Flags {
        #[command(flatten)]
        config: Config,
    }

    fn parse(arguments: &[&str]) -> Result<Config, clap::Error> {
        Flags::try_parse_from(["x"].iter().chain(arguments)).map(|flags| flags.config)
    }

    #[test]
    fn the_flags_begin_as_tests_do_but_for_the_rate() {
        let to = "http://127.0.0.1:1/a";
        let config = parse(&["--to", to, "--events", "5"]).unwrap();
        assert_eq!(config, Config::to(vec![to.parse().unwrap()], 5));
        let endless = parse(&["--to", to]).unwrap();
        assert_eq!((endless.rate, endless.events), (10.0, ENDLESS));
        assert_eq!(parse(&["--to", to, "--events", "5", "--rate", "7"]).unwrap().rate, 7.0);
    }

    #[test]
    fn addresses_are_looked_at_and_no_secret_is_shown() {
        for (to, why) in [
            ("127.0.0.1:80", "expected an address"),
            ("ftp://host/", "http:// or https://"),
            ("http://a:hunter2@host/", "no credential belongs"),
        ] {
            let error = parse(&["--to", to]).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert!(parse(&[]).is_err(), "an address is needed");
        let config =
            parse(&["--to", "http://h/", "--basic", "u:hunter2", "--header", "X-Key: hunter2"]).unwrap();
        assert_eq!(config.basic.as_ref().map(Secret::expose), Some("u:hunter2"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
