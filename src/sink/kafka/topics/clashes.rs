//! Topics that Kafka takes for one: its metrics do not tell `.` from `_`, so it refuses the second of two such names, but for
//! two of one request. Both are seen here beforehand, so the error can name the other one.

use std::collections::BTreeMap;

use super::Wanted;
use crate::model::topic::fold;

/// Cuts off the topics whose name collides with that of an existing one or of another wanted one before it; each with that
/// name.
pub(super) fn cut_off<'w, 'n>(
    missing: &[&'w Wanted],
    existing: impl Iterator<Item = &'n str>,
) -> (Vec<&'w Wanted>, Vec<(&'w Wanted, String)>) {
    let may_collide = |name: &str| name.contains(['.', '_']);
    let mut taken = BTreeMap::new();
    if missing.iter().any(|topic| may_collide(&topic.name)) {
        taken.extend(existing.filter(|name| may_collide(name)).map(|name| (fold(name), name.to_owned())));
    }
    let (mut free, mut clashing) = (Vec::new(), Vec::new());
    for topic in missing {
        match taken.get(&fold(&topic.name)) {
            Some(other) => clashing.push((*topic, other.clone())),
            None => {
                taken.insert(fold(&topic.name), topic.name.clone());
                free.push(*topic);
            }
        }
    }
    (free, clashing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::kafka::config::TopicSpec;

    #[test]
    fn the_first_of_two_has_the_name() {
        let wanted =
            ["a.b", "a_b", "c", "x.y", "x.z", "p-q"].map(|name| Wanted::event(name, TopicSpec::default()));
        let wanted: Vec<&Wanted> = wanted.iter().collect();
        let names = |topics: &[&Wanted]| topics.iter().map(|topic| topic.name.clone()).collect::<Vec<_>>();
        let (free, clashing) = cut_off(&wanted, ["x_y", "c_", "other", "p.q"].into_iter());
        assert_eq!(names(&free), ["a.b", "c", "x.z", "p-q"]);
        let clashing: Vec<_> = clashing.iter().map(|(topic, other)| (&*topic.name, &**other)).collect();
        assert_eq!(clashing, [("a_b", "a.b"), ("x.y", "x_y")]);
    }
}
