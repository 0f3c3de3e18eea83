//! A client that tells something beside what each client does: its context hands on what all have, and the rest says what it is told.

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use super::Context;

/// What is told beside.
pub(crate) trait Hears: Send + Sync {
    /// A line of the log from this facility of librdkafka, before it is logged.
    fn log(&self, _facility: &str) {}

    /// Statistics, after `own` has taken them.
    fn statistics(&self, _own: &Context) {}
}

/// The context of such a client.
pub(crate) struct Beside<H> {
    /// What each client has.
    pub(crate) own: Context,
    /// What this one has beside it.
    pub(crate) hears: H,
}

impl<H> AsRef<Context> for Beside<H> {
    fn as_ref(&self) -> &Context {
        &self.own
    }
}

impl<H: Hears> ClientContext for Beside<H> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.own.generate_oauth_token(config)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.hears.log(facility);
        self.own.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.own.error(error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.own.stats_raw(statistics);
        self.hears.statistics(&self.own);
    }
}
