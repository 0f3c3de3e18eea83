//! Reading dead letters, for whoever wants to look. Nobody is disturbed and nothing is written.

use std::ops::ControlFlow;

use rdkafka::consumer::Consumer;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message};
use tokio::runtime::Handle;

use super::{OpenTransactions, REQUEST_TIMEOUT, Reader, first_since};
use crate::model::letters::Stamp;
use crate::sink::SinkError;
use crate::sink::kafka::client::{Clients, explain};
use crate::sink::kafka::config::Config;

/// Where a record stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Place {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// A record of a dead-letter topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Letter<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When it was written, milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Its headers, in their order.
    pub headers: Vec<(&'a str, &'a [u8])>,
    /// Its bytes.
    pub value: &'a [u8],
}

impl<'a> Letter<'a> {
    fn of(message: &'a BorrowedMessage<'_>) -> Self {
        let named = |header: Header<'a, &'a [u8]>| (header.key, header.value.unwrap_or_default());
        Self {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
            headers: message.headers().map(|headers| headers.iter().map(named).collect()).unwrap_or_default(),
            value: message.payload().unwrap_or_default(),
        }
    }

    /// The text of a header; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> std::borrow::Cow<'a, str> {
        let found = self.headers.iter().find(|(known, _)| *known == name);
        found.map_or_else(Default::default, |(_, value)| String::from_utf8_lossy(value))
    }

    /// By what it is known again.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp::of(self.offset, self.timestamp_ms, self.value)
    }

    /// Where it stands.
    pub(crate) fn place(&self) -> Place {
        Place { topic: self.topic.to_owned(), partition: self.partition, offset: self.offset }
    }
}

/// A dead-letter topic that is read.
pub(crate) struct Letters {
    reader: Reader,
    topic: String,
    partitions: i32,
}

/// A partition, and what is to be read of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    /// Its number.
    pub partition: i32,
    /// The offset of the oldest record that is kept.
    pub low: i64,
    /// Where to begin.
    pub from: i64,
    /// The offset after the last record that is committed now, or where the first transaction begins that is open.
    pub end: i64,
    /// Offsets behind that.
    pub hidden: u64,
}

impl Letters {
    /// Looks the topic up; `None` where it is not there. Blocks.
    pub(crate) fn open(config: &Config, runtime: Handle, topic: &str) -> Result<Option<Self>, SinkError> {
        let reader = Reader::new(&Clients::new(config.clone(), runtime), config.transaction_timeout)?;
        let found = reader.partitions(topic)?;
        Ok(found.map(|partitions| Self { reader, topic: topic.to_owned(), partitions }))
    }

    /// Its partitions as they are now, to be read from the first record on that was written since `since_ms`. Blocks.
    pub(crate) fn spans(&self, since_ms: Option<i64>) -> Result<Vec<Span>, SinkError> {
        let span = |partition| {
            let (low, end) = self.reader.stable_end(&self.topic, partition, OpenTransactions::PassOver)?;
            let since = since_ms
                .map(|since_ms| first_since(self.reader.committed()?, &self.topic, partition, since_ms));
            let from = since.transpose()?.map_or(low, |first| first.unwrap_or(end).max(low));
            let hidden = self.reader.high(&self.topic, partition)?.saturating_sub(end);
            Ok(Span { partition, low, from, end, hidden: u64::try_from(hidden).unwrap_or_default() })
        };
        (0..self.partitions).map(span).collect()
    }

    /// The span without what was deleted meanwhile. Blocks.
    pub(crate) fn as_of_now(&self, span: &Span) -> Result<Span, SinkError> {
        let (low, _) = self.reader.stable_end(&self.topic, span.partition, OpenTransactions::PassOver)?;
        Ok(Span { low, from: span.from.max(low), ..*span })
    }

    /// Gives the committed records of a span to `each`, until it breaks off. Blocks.
    pub(crate) fn read(
        &self,
        span: &Span,
        mut each: impl FnMut(&Letter<'_>) -> ControlFlow<()>,
    ) -> Result<(), SinkError> {
        let Span { partition, from, end, .. } = *span;
        self.reader.read_messages(&self.topic, partition, from, end, |message| Ok(each(&Letter::of(message))))
    }

    /// Gives the record at an offset to `found`; `None` if there is none. Blocks.
    pub(crate) fn at<T>(
        &self,
        partition: i32,
        offset: i64,
        found: impl FnOnce(&Letter<'_>) -> T,
    ) -> Result<Option<T>, SinkError> {
        if !(0..self.partitions).contains(&partition) {
            return Ok(None);
        }
        self.reader.at(&self.topic, partition, offset, |message| found(&Letter::of(message)))
    }
}

impl Reader {
    /// How many partitions a topic has, if it is there.
    pub(crate) fn partitions(&self, topic: &str) -> Result<Option<i32>, SinkError> {
        let consumer = self.committed()?;
        let metadata = consumer.fetch_metadata(Some(topic), REQUEST_TIMEOUT).map_err(|error| {
            SinkError::Unusable(format!("cannot ask Kafka for topic {topic}: {}", explain(consumer, &error)))
        })?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let count = found.map_or(0, |found| found.partitions().len());
        Ok(i32::try_from(count).ok().filter(|count| *count > 0))
    }
}
