//! Each model holds, and each way to do it wrongly is found.

use std::fmt;
use std::hash::Hash;

use tributary_model::placement::Placement;
use tributary_model::replay::Replay;
use tributary_model::reshard::Reshard;
use tributary_model::search::{Size, Subject, Told, search, shortest};
use tributary_model::shard::{Ownership, Shard};

fn check<M>(subject: Subject<M>)
where
    M: Told + Clone + Send + Sync + 'static,
    M::State: Clone + Hash + PartialEq + fmt::Debug + Send + Sync + 'static,
    M::Action: Clone + PartialEq + fmt::Debug + Send + Sync,
{
    let found = search(subject.right);
    for answer in &found.answers {
        let way = answer.way.as_ref().map_or("never".to_owned(), ToString::to_string);
        assert!(answer.is_good(), "{}: {} (always: {})\n{way}", subject.name, answer.property, answer.always);
    }
    // A model in which nothing can happen would hold as well.
    assert!(found.states > 1_000, "{}: {} states", subject.name, found.states);
    for wrong in subject.wrong {
        let (_, way) = shortest(wrong.model, wrong.breaks);
        assert!(way.is_some(), "{}: {} was not found", subject.name, wrong.fault);
    }
}

#[test]
fn a_shard_shared_by_a_group() {
    check(Shard::subject(Ownership::Group, Size::Short));
}

#[test]
fn a_shard_whose_instances_announce_themselves() {
    check(Shard::subject(Ownership::Static, Size::Short));
}

#[test]
fn a_stream_that_is_cut_into_another_number_of_shards() {
    Reshard::subjects(Size::Short).into_iter().for_each(check);
}

#[test]
fn processes_that_put_their_streams_into_the_placement_record() {
    check(Placement::subject(Size::Short));
}

#[test]
fn a_replay_of_dead_letters() {
    check(Replay::subject(Size::Short));
}
