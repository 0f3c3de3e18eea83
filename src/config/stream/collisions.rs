//! Names that Kafka takes for one, over all streams: it would create only the first of them.

use std::collections::BTreeMap;

use super::Stream;
use crate::config::errors::{Errors, Path};
use crate::event::route::Template;
use crate::model::topic::fold;

/// Refuses fixed names that differ only in `.` and `_`, and templates that do. What else a template makes is not known here.
pub(in crate::config) fn check(streams: &[Stream], numbers: &[usize], errors: &mut Errors) {
    check_names(streams, numbers, errors);
    let mut known: Vec<(Template, Path)> = Vec::new();
    for (stream, number) in streams.iter().zip(numbers) {
        let Some(Ok(template)) = stream.topic().map(Template::parse) else { continue };
        let path = Path::top("stream").index(*number).key("topic");
        if template.is_fixed() {
            continue;
        }
        if let Some((other, at)) = known.iter().find(|(other, _)| other.collides(&template)) {
            errors.add(
                &path,
                format!(
                    "{:?} and {:?} ({at}) make names of the same values that cannot both be topics: Kafka takes `.` and `_` for \
                     the same; choose another name, or the same for both",
                    template.as_str(),
                    other.as_str()
                ),
            );
        }
        known.push((template, path));
    }
}

fn check_names(streams: &[Stream], numbers: &[usize], errors: &mut Errors) {
    let mut first: BTreeMap<Vec<u8>, (&str, Path)> = BTreeMap::new();
    for (stream, number) in streams.iter().zip(numbers) {
        for (name, path) in names(stream, &Path::top("stream").index(*number)) {
            let (known, at) = first.entry(fold(name)).or_insert_with(|| (name, path.clone()));
            if *known != name {
                errors.add(
                    &path,
                    format!(
                        "{name:?} and {known:?} ({at}) cannot both be topics: Kafka takes `.` and `_` for the same; choose \
                         another name, or the same for both"
                    ),
                );
            }
        }
    }
}

/// The fixed names of a stream, and where each of them stands.
fn names<'s>(stream: &'s Stream, path: &Path) -> Vec<(&'s str, Path)> {
    let common = stream.common();
    let topic =
        stream.topic().filter(|topic| Template::parse(topic).is_ok_and(|template| template.is_fixed()));
    let single = [
        ("topic", topic),
        ("default_topic", common.default_topic.as_deref()),
        ("dead_letter_topic", common.dead_letter_topic.as_deref()),
    ];
    let single = single.into_iter().filter_map(|(key, name)| Some((name?, path.key(key))));
    let table = path.key("topics");
    single.chain(common.topics.iter().map(|(value, name)| (name.as_str(), table.key(value)))).collect()
}
