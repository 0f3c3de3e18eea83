//! When a response counts as the stream, by the clock of a paused runtime.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::*;
use crate::source::airship;

/// A response that comes piece by piece.
struct Served {
    pieces: mpsc::UnboundedSender<Bytes>,
    lines: Lines,
    metrics: Metrics,
}

fn serve() -> Served {
    let (pieces, source) = mpsc::unbounded_channel::<Bytes>();
    let body = futures_util::stream::unfold(source, |mut source| async move {
        source.recv().await.map(|piece| (Ok::<_, std::io::Error>(piece), source))
    });
    let response = Response::from(http::Response::new(reqwest::Body::wrap_stream(body)));
    let metrics = Metrics::default();
    let lines = Lines::new(response, airship::line::MARKS, Duration::from_secs(90), 1 << 20, metrics.clone());
    Served { pieces, lines, metrics }
}

impl Served {
    /// Reads for so long, each piece at once.
    async fn read_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let Ok(ended) = tokio::time::timeout_at(until, self.lines.read()).await {
            assert!(ended.is_none(), "{ended:?}");
        }
    }

    async fn says(&mut self, text: &'static str, time: Duration) {
        self.pieces.send(Bytes::from_static(text.as_bytes())).unwrap();
        self.read_for(time).await;
    }

    #[track_caller]
    fn assert_open(&self, is_open: bool) {
        assert_eq!(self.lines.is_open(), is_open);
        assert_eq!(self.metrics.was_connected(), is_open, "what readiness asks for");
    }
}

#[tokio::test(start_paused = true)]
async fn blank_lines_alone_are_a_quiet_stream_after_a_while() {
    let mut served = serve();
    served.says("\r\n\n", SETTLED - Duration::from_millis(1)).await;
    served.assert_open(false);
    served.says("\n", Duration::from_millis(2)).await;
    served.assert_open(true);
}

#[tokio::test(start_paused = true)]
async fn an_event_is_the_stream_at_once() {
    let mut served = serve();
    served.says("{\"offset\":\"1\"}\n", Duration::from_millis(1)).await;
    served.assert_open(true);
    assert!(served.lines.is_proven());
}

#[tokio::test(start_paused = true)]
async fn what_stays_open_with_anything_else_is_not_the_stream() {
    for text in [": ping\n", "{\"message\":\"maintenance\"}\n", "{\"offset", ": pi"] {
        let mut served = serve();
        served.says(text, SETTLED * 10).await;
        served.assert_open(false);
        assert_eq!(served.lines.next_block(), None, "{text}");
        drop(served.pieces);
        let ended = served.lines.read().await.unwrap();
        let expected = if text.starts_with("{\"offset") { Class::Ended } else { Class::BadBody };
        assert_eq!(ended.class, expected, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_comes_slowly_does_not_stay_unproven() {
    let mut served = serve();
    served.says("{\"offset", SETTLED * 2).await;
    served.assert_open(false);
    served.says("\":\"1\"}\n", Duration::from_millis(1)).await;
    served.assert_open(true);
}
