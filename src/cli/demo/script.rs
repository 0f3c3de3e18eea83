//! What goes wrong in the demo, and when.

use std::time::Duration;

use tributary_mock::fault::{Armed, ErrorBody, Fault};

use super::service::Service;

/// First fault, and the time between faults.
const FIRST: Duration = Duration::from_secs(3);
const EVERY: Duration = Duration::from_secs(5);

/// Answers of the burst.
const BURST: u64 = 3;

/// Plays one fault after the other on each service, again and again.
pub(super) struct Script {
    plays: Vec<Play>,
}

/// The faults of one service.
struct Play {
    service: Service,
    first: Duration,
    played: u32,
}

impl Script {
    /// For these services. The second begins when the first is between two faults.
    pub(super) fn new(services: &[Service]) -> Self {
        let play = |(service, n): (&Service, u32)| Play {
            service: *service,
            first: FIRST + EVERY / 2 * n,
            played: 0,
        };
        Self { plays: services.iter().zip(0..).map(play).collect() }
    }

    /// Arms what is due.
    pub(super) fn play(&mut self, elapsed: Duration, mock: &tributary_mock::Handle) {
        for play in &mut self.plays {
            if elapsed >= play.first + EVERY * play.played {
                let what = match play.service {
                    Service::Airship => airship(play.played, mock),
                    Service::Adobe => adobe(play.played, &mock.adobe()),
                };
                play.played += 1;
                tracing::warn!("mock {}: {what}", play.service.name());
            }
        }
    }
}

fn busy() -> Armed {
    let busy = Fault::Status { code: 503, body: ErrorBody::Html, message: None, retry_after: None };
    Armed::now(busy).times(BURST)
}

fn airship(number: u32, mock: &tributary_mock::Handle) -> &'static str {
    match number % 3 {
        0 => {
            mock.arm(Armed::now(Fault::CutMidLine {}));
            "the service cuts the connection in the middle of a line"
        }
        1 => {
            mock.arm(busy());
            mock.disconnect(Fault::Eof {});
            "the service closes the stream, and answers 503 with an HTML page three times"
        }
        _ => {
            mock.arm(Armed::now(Fault::Reset {}));
            "the service resets the connection in the middle of the gzip stream"
        }
    }
}

fn adobe(number: u32, mock: &tributary_mock::adobe::Handle) -> &'static str {
    match number % 3 {
        0 => {
            break_one(mock, Fault::Reset {});
            "the service resets one of two connections: what was on its way is lost, until a replay brings it back"
        }
        1 => {
            mock.expire_tokens();
            mock.disconnect(Fault::Eof {});
            "the service closes both connections, and the token is no longer good"
        }
        _ => {
            mock.arm(busy());
            break_one(mock, Fault::CutMidLine {});
            "the service cuts a connection in the middle of a line, and answers 503 three times"
        }
    }
}

/// Breaks a connection: the next one to be opened, if none is now.
fn break_one(mock: &tributary_mock::adobe::Handle, fault: Fault) {
    if mock.disconnect_one(0, fault.clone()).is_none() {
        mock.arm(Armed::now(fault));
    }
}
