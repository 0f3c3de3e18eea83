//! Whether records wait since a topic has too few replicas in sync. librdkafka tries such a record again and again without a
//! word, until its time is over.

use rdkafka::types::RDKafkaErrorCode as Code;

use super::cluster::Replicas;
use super::{Known, Topics};
use crate::sink::SinkError;
use crate::sink::kafka::delivery::Cause;

impl Topics {
    /// A topic in use of which Kafka takes nothing, since too few replicas of a partition are in sync.
    pub(crate) fn short_of_replicas(&mut self) -> Result<Option<String>, SinkError> {
        let mut used = self.cluster.replicas()?;
        used.retain(|name, _| matches!(self.known.get(name), Some(Known::Takes(_))));
        let names: Vec<&str> = used.keys().map(String::as_str).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let described = self.cluster.describe(&names)?;
        let least = described.into_iter().map(|described| described.and_then(|topic| topic.min_in_sync));
        Ok(used.iter().zip(least).find_map(|((name, replicas), least)| short(name, replicas, least?)))
    }
}

/// The first partition of a topic with fewer replicas in sync than it needs. Brokers ask for no more of them than there are.
pub(super) fn short(topic: &str, replicas: &[Replicas], least: usize) -> Option<String> {
    let is_short = |replicas: &&Replicas| replicas.in_sync < least.min(replicas.all);
    let Replicas { partition, all, in_sync } = *replicas.iter().find(is_short)?;
    let cause = Cause { topic: topic.to_owned(), partition, code: Code::NotEnoughReplicas };
    Some(format!("{cause} ({in_sync} of {all} in sync, {} needed)", least.min(all)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_is_named_that_has_too_few() {
        let of = |counts: &[(usize, usize)]| -> Vec<Replicas> {
            let numbered = (0..).zip(counts);
            numbered
                .map(|(partition, (in_sync, all))| Replicas { partition, all: *all, in_sync: *in_sync })
                .collect()
        };
        assert_eq!(short("t", &of(&[(2, 3), (3, 3)]), 2), None);
        assert_eq!(short("t", &of(&[(1, 1)]), 2), None, "one of one is enough for the broker");
        assert_eq!(short("t", &[], 2), None);
        let text = short("t", &of(&[(2, 3), (1, 3), (0, 3)]), 2).unwrap();
        for part in
            ["topic t, partition 1", "NotEnoughReplicas", "bring brokers back", "(1 of 3 in sync, 2 needed)"]
        {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }
}
