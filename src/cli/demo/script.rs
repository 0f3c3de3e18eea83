//! What goes wrong in the demo, and when.

use std::time::Duration;

use crate::mock;
use crate::mock::airship::{Armed, ErrorBody, Fault};

/// First fault, and the time between faults.
const FIRST: Duration = Duration::from_secs(3);
const EVERY: Duration = Duration::from_secs(5);

/// Answers of the burst.
const BURST: u64 = 3;

/// Plays one fault after the other, again and again.
pub(super) struct Script {
    played: u32,
    enabled: bool,
}

impl Script {
    pub(super) fn new(enabled: bool) -> Self {
        Self { played: 0, enabled }
    }

    /// Arms the next fault when its time has come.
    pub(super) fn play(&mut self, elapsed: Duration, mock: &mock::Handle) {
        if !self.enabled || elapsed < FIRST + EVERY * self.played {
            return;
        }
        let what = match self.played % 3 {
            0 => {
                mock.arm(Armed::now(Fault::CutMidLine {}));
                "the service cuts the connection in the middle of a line"
            }
            1 => {
                let busy =
                    Fault::Status { code: 503, body: ErrorBody::Html, message: None, retry_after: None };
                mock.arm(Armed::now(busy).times(BURST));
                mock.disconnect(Fault::Eof {});
                "the service closes the stream, and answers 503 with an HTML page three times"
            }
            _ => {
                mock.arm(Armed::now(Fault::Reset {}));
                "the service resets the connection in the middle of the gzip stream"
            }
        };
        self.played += 1;
        tracing::warn!("mock: {what}");
    }
}
