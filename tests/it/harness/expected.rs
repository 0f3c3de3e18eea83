//! What must lie in a topic, by the events' ids. Each service's `scenes` say how it follows from the mock's log.

use crate::harness::reader::Message;
use std::collections::BTreeMap;

/// Events that must arrive, by id.
#[derive(Clone, Default)]
pub(crate) struct Expected(BTreeMap<String, Vec<u8>>);

impl Expected {
    /// Everything in a mock's log.
    pub(crate) fn all(log: impl Into<Self>) -> Self {
        log.into()
    }

    /// Adds an event that a fault invented.
    pub(crate) fn add(&mut self, id: String, line: Vec<u8>) {
        self.0.insert(id, line);
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Nothing lost, nothing twice, every byte equal.
    #[track_caller]
    pub(crate) fn check(&self, messages: &[Message]) {
        let text = |message| String::from_utf8_lossy(bytes(message));
        let mut missing = self.0.clone();
        for message in messages {
            let Message { topic, partition, offset, .. } = message;
            let id = message.header("ce_id").expect("every event has its id");
            let line = missing.remove(id).unwrap_or_else(|| match self.0.contains_key(id) {
                true => panic!("{id} came twice, again at {topic}/{partition}/{offset}"),
                false => panic!("{id} was never sent: {}", text(message)),
            });
            assert!(bytes(message) == line, "{id} was changed on the way:\n{}", text(message));
        }
        let (lost, all) = (missing.len(), self.len());
        assert!(missing.is_empty(), "{lost} of {all} lost, such as {:?}", missing.keys().next());
    }
}

impl FromIterator<(String, Vec<u8>)> for Expected {
    /// Of several with one id the first one counts.
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(events: I) -> Self {
        let mut expected = Self::default();
        for (id, line) in events {
            expected.0.entry(id).or_insert(line);
        }
        expected
    }
}

/// A record's value.
pub(crate) fn bytes(message: &Message) -> &[u8] {
    message.value.as_deref().unwrap_or_default()
}

/// No line was refused.
#[track_caller]
pub(crate) fn assert_no_dead_letters(letters: &[Message]) {
    let texts: Vec<_> = letters.iter().map(|letter| String::from_utf8_lossy(bytes(letter))).collect();
    assert!(texts.is_empty(), "dead letters: {texts:?}");
}
