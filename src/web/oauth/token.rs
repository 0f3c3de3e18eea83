//! A token and when it is renewed: pure.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::secret::Secret;

/// A token is renewed when a tenth of its life is left, but not earlier than this before its expiry.
const LONGEST_MARGIN: Duration = Duration::from_secs(3600);

/// A token and its life.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// The token itself.
    pub secret: Secret,
    /// When it ends.
    pub expires_at: Instant,
    pub(super) fetched_at: Instant,
    pub(super) renew_at: Instant,
}

impl Token {
    pub(super) fn new(secret: Secret, asked_at: Instant, life: Duration) -> Self {
        let margin = (life / 10).min(LONGEST_MARGIN);
        Self {
            secret,
            fetched_at: asked_at,
            renew_at: asked_at + (life - margin),
            expires_at: asked_at + life,
        }
    }
}
