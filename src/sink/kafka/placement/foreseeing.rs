//! What an announcement would change: judged before anything is made, and told of.

use tracing::{info, warn};

use super::reading::read_past;
use super::record::{Record, Wanted};
use super::{Announcement, Announcer, refused};
use crate::sink::SinkError;
use crate::sink::kafka::readback::OpenTransactions;

impl Announcer {
    /// Refuses what the record refuses as it stands, before topics are made and have grown: they do not shrink again. What it
    /// says once others are fenced decides.
    pub(super) fn foresee(&mut self, announcement: Announcement<'_>) -> Result<(), SinkError> {
        if self.topics.partitions(&self.state.shards)? == 0 {
            return Ok(());
        }
        // One that died in its announcement is fenced only after this, so that is not waited for unless something is refused: what
        // is under way may be what makes it right.
        match self.foresee_past(announcement, OpenTransactions::PassOver) {
            Err(SinkError::Misconfigured(_)) => self.foresee_past(announcement, OpenTransactions::WaitFor),
            other => other,
        }
    }

    fn foresee_past(
        &mut self,
        announcement: Announcement<'_>,
        open: OpenTransactions,
    ) -> Result<(), SinkError> {
        let Some((record, _)) = read_past(&self.reader()?, &self.state, open)? else { return Ok(()) };
        record.announce(&meant(announcement, &record), announcement.who).map(drop).map_err(refused)
    }
}

/// The streams that an announcement is about.
pub(super) fn meant(announcement: Announcement<'_>, before: &Record) -> Vec<Wanted> {
    let is_meant =
        |stream: &&Wanted| !(announcement.only_unknown && before.streams.contains_key(&stream.stream));
    announcement.streams.iter().filter(is_meant).cloned().collect()
}

pub(super) fn report_hosts(before: &Record, streams: &[Wanted]) {
    for stream in streams {
        let was = before.streams.get(&stream.stream).and_then(|known| known.source.as_ref());
        if let Some(was) = was.filter(|was| was.host != stream.source.host && was.is_same(&stream.source)) {
            warn!(
                stream = stream.stream,
                was = was.host,
                now = stream.source.host,
                "the stream is read from another host than before; its position is taken to be of the same service"
            );
        }
    }
}

pub(super) fn report_starts_anew(before: &Record, streams: &[Wanted]) {
    for stream in streams.iter().filter(|stream| before.streams.contains_key(&stream.stream)) {
        match &stream.start_anew {
            Some(_) if before.why_superseded(stream).is_some() => {}
            Some(word) if before.starts_anew(stream) => warn!(
                stream = stream.stream,
                word,
                "started anew: position, recent ids and totals of the stream are left behind; it begins as its start says"
            ),
            Some(word) => info!(
                stream = stream.stream,
                word, "was started anew with this word before; nothing is left behind"
            ),
            None => {}
        }
    }
}
