//! What the members of a consumer group have, as the group's coordinator tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rdkafka::groups::GroupInfo;

/// Length of the UUID that brokers put behind a member's instance id and a `-`.
const UUID_LENGTH: usize = 36;

/// The instance id of the member that has a partition. Only for show: no decision rests on it.
pub(crate) type Holders = BTreeMap<i32, Arc<str>>;

/// What a member has of one topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Share {
    /// The broker's name of the member, in which [`instance_id`] finds ours.
    pub(super) member_id: String,
    /// None while the members agree on it anew.
    pub(super) partitions: BTreeSet<i32>,
}

impl Share {
    /// What each member of `group` has of `topic`. A member whose share has a form that is not known is left out.
    pub(super) fn all(group: &GroupInfo, topic: &str) -> Vec<Self> {
        let members = group.members().iter();
        let share = members.map(|member| {
            let partitions = assigned(member.assignment().unwrap_or_default(), topic)?;
            Some(Self { member_id: member.id().to_owned(), partitions })
        });
        share.flatten().collect()
    }
}

/// The instance id of a member that has one: brokers make the member's id of it.
pub(super) fn instance_id(member_id: &str) -> Option<&str> {
    let end = member_id.len().checked_sub(UUID_LENGTH)?;
    member_id.get(..end)?.strip_suffix('-').filter(|name| !name.is_empty())
}

/// The partitions of `topic` in an assignment as Kafka's consumers spell it: a version, then topics with their partitions, all
/// big-endian. An empty one is of a member that has nothing yet. `None` where it has another form.
fn assigned(assignment: &[u8], topic: &str) -> Option<BTreeSet<i32>> {
    let mut found = BTreeSet::new();
    if assignment.is_empty() {
        return Some(found);
    }
    let mut rest = assignment;
    let _version: [u8; 2] = take(&mut rest)?;
    for _ in 0..i32::from_be_bytes(take(&mut rest)?) {
        let length = u16::from_be_bytes(take(&mut rest)?);
        let (name, after) = rest.split_at_checked(length.into())?;
        rest = after;
        for _ in 0..i32::from_be_bytes(take(&mut rest)?) {
            let partition = i32::from_be_bytes(take(&mut rest)?);
            if name == topic.as_bytes() {
                found.insert(partition);
            }
        }
    }
    Some(found)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "2b2ae2c9-0b8f-4b7e-8f25-0d4c5f0f1a11";

    /// An assignment as consumers make it.
    fn assignment(topics: &[(&str, &[i32])]) -> Vec<u8> {
        let mut bytes = vec![0, 1];
        bytes.extend((topics.len() as i32).to_be_bytes());
        for (topic, partitions) in topics {
            bytes.extend((topic.len() as u16).to_be_bytes());
            bytes.extend(topic.as_bytes());
            bytes.extend((partitions.len() as i32).to_be_bytes());
            partitions.iter().for_each(|partition| bytes.extend(partition.to_be_bytes()));
        }
        // The data of the one who assigned: none.
        bytes.extend((-1_i32).to_be_bytes());
        bytes
    }

    #[test]
    fn a_member_id_begins_with_the_instance_id() {
        assert_eq!(instance_id(&format!("pod-1-{UUID}")), Some("pod-1"));
        assert_eq!(instance_id(&format!("pod-1-a-{UUID}")), Some("pod-1-a"));
        for other in ["pod-1", UUID, &format!("-{UUID}"), "é-b2ae2c9-0b8f-4b7e-8f25-0d4c5f0f1a11", ""] {
            assert_eq!(instance_id(other), None, "{other}");
        }
    }

    #[test]
    fn an_assignment_gives_the_partitions_of_its_topic() {
        let bytes = assignment(&[("t.shards", &[0, 258]), ("other", &[3]), ("t.shards", &[9])]);
        assert_eq!(assigned(&bytes, "t.shards"), Some(BTreeSet::from([0, 9, 258])));
        assert_eq!(assigned(&bytes, "third"), Some(BTreeSet::new()));
        assert_eq!(assigned(&assignment(&[]), "t.shards"), Some(BTreeSet::new()));
        assert_eq!(assigned(&[], "t.shards"), Some(BTreeSet::new()));
    }

    #[test]
    fn what_is_cut_off_is_no_assignment() {
        let bytes = assignment(&[("t.shards", &[0, 7])]);
        // Up to where the data of the one who assigned begin, which nobody reads.
        for length in 1..bytes.len() - 4 {
            assert_eq!(assigned(&bytes[..length], "t.shards"), None, "{length}");
        }
    }
}
