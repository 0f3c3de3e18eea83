//! `tributary dead-letters show`: one dead letter, as its place names it.

use std::collections::BTreeSet;
use std::io::{self, Write};

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::{time, topics};
use crate::output::{self, OutputError};
use crate::plan::Plan;
use crate::sink::kafka::readback::{Letter, Letters, Place};

/// The place that `name` means, where these are the topics of dead letters.
fn place(name: &str, topics: &BTreeSet<&str>) -> anyhow::Result<Place> {
    let form = || {
        format!(
            "{name:?} is no dead letter: expected [TOPIC/]PARTITION/OFFSET, as `dead-letters list` has it"
        )
    };
    let (rest, offset) = name.rsplit_once('/').with_context(form)?;
    let (topic, partition) = match rest.rsplit_once('/') {
        Some((topic, partition)) => (topic, partition),
        None => match topics.iter().copied().collect::<Vec<_>>().as_slice() {
            [only] => (*only, rest),
            several => bail!("say of which topic {name} is, as in {}/{name}", several.join(" or ")),
        },
    };
    if !topics.contains(topic) {
        bail!("{topic} is no dead-letter topic of this configuration; there are: {}", names(topics));
    }
    let (partition, offset) = (partition.parse().with_context(form)?, offset.parse().with_context(form)?);
    Ok(Place { topic: topic.to_owned(), partition, offset })
}

fn names(topics: &BTreeSet<&str>) -> String {
    topics.iter().copied().collect::<Vec<_>>().join(", ")
}

/// Prints a dead letter.
pub(super) fn show(plan: &Plan, name: &str, value_alone: bool, as_json: bool) -> anyhow::Result<()> {
    let place = place(name, &topics(plan, None)?)?;
    let runtime = super::super::runtime().context("cannot start the runtime")?;
    let print = |letter: &Letter<'_>| {
        if as_json {
            return output::print(format_args!("{:#}", whole(letter)));
        }
        let mut out = io::stdout().lock();
        if !value_alone {
            writeln!(out, "time: {}", time(letter.timestamp_ms))?;
            for (name, value) in &letter.headers {
                writeln!(out, "{name}: {}", String::from_utf8_lossy(value))?;
            }
            writeln!(out)?;
        }
        out.write_all(letter.value)?;
        if !value_alone {
            writeln!(out)?;
        }
        Ok::<(), OutputError>(out.flush()?)
    };
    let printed = match Letters::open(&plan.kafka, runtime.handle().clone(), &place.topic)? {
        Some(letters) => letters.at(place.partition, place.offset, print)?,
        None => None,
    };
    runtime.shutdown_background();
    let printed = printed.with_context(|| {
        format!(
            "there is no dead letter {name}: the topic's retention has deleted it, or there never was one, since offsets have gaps where \
             transactions end"
        )
    })?;
    Ok(printed?)
}

/// All of a dead letter as JSON.
fn whole(letter: &Letter<'_>) -> Value {
    let headers: Map<String, Value> = letter
        .headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), String::from_utf8_lossy(value).into()))
        .collect();
    let (form, value) = match std::str::from_utf8(letter.value) {
        Ok(text) => ("value", text.to_owned()),
        Err(_) => ("value_base64", BASE64_STANDARD.encode(letter.value)),
    };
    let Letter { topic, partition, offset, timestamp_ms, .. } = letter;
    json!({
        "topic": topic, "partition": partition, "offset": offset, "time": time(*timestamp_ms), "headers": headers,
        (form): value,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::letter;
    use super::*;

    #[test]
    fn a_letter_is_named_by_its_place() {
        let one = BTreeSet::from(["a"]);
        let two = BTreeSet::from(["a", "b/c"]);
        let at = |topic: &str| Place { topic: topic.into(), partition: 1, offset: 23 };
        assert_eq!(place("1/23", &one).unwrap(), at("a"));
        assert_eq!(place("b/c/1/23", &two).unwrap(), at("b/c"));
        for (name, topics, said) in [
            ("1/23", &two, "say of which topic"),
            ("x/1/23", &one, "no dead-letter topic"),
            ("23", &one, "expected"),
        ] {
            assert!(place(name, topics).unwrap_err().to_string().contains(said), "{name}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_base64() {
        assert_eq!(whole(&letter(0, 0, "no_id", b"{}"))["value"], "{}");
        assert_eq!(whole(&letter(0, 0, "no_id", b"\xff\x00"))["value_base64"], "/wA=");
    }
}
