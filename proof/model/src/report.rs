//! What a search came to, as text for people.

use std::fmt;
use std::hash::Hash;
use std::io::{self, Write};
use std::time::Duration;

use crate::search::{Subject, Told, search, shortest};

/// Searches a model, right and wrong, and writes what came out as Markdown. Tells whether all is as it should be: the right one holds,
/// has seen what it is to see, and every wrong one is found.
pub fn report<M>(subject: Subject<M>, out: &mut dyn Write) -> io::Result<bool>
where
    M: Told + Clone + Send + Sync + 'static,
    M::State: Clone + Hash + PartialEq + fmt::Debug + Send + Sync + 'static,
    M::Action: Clone + PartialEq + fmt::Debug + Send + Sync,
{
    writeln!(out, "## Model: {}\n", subject.name)?;
    let found = search(subject.right);
    writeln!(
        out,
        "{} states, the farthest after {} steps, {}.\n",
        grouped(found.states),
        found.depth,
        seconds(found.took)
    )?;
    writeln!(out, "| property | |\n|---|---|")?;
    let mut is_good = true;
    for answer in &found.answers {
        is_good &= answer.is_good();
        let said = match (answer.always, &answer.way) {
            (true, None) => "holds in every state",
            (true, Some(_)) => "**DOES NOT HOLD**",
            (false, Some(_)) => "was seen",
            (false, None) => "**WAS NOT SEEN**",
        };
        writeln!(out, "| {} | {said} |", answer.property)?;
    }
    for answer in found.answers.iter().filter(|answer| answer.always) {
        if let Some(way) = &answer.way {
            writeln!(out, "\n```text\n{}\n{way}\n```", answer.property)?;
        }
    }
    if subject.wrong.is_empty() {
        writeln!(out)?;
        out.flush()?;
        return Ok(is_good);
    }
    writeln!(
        out,
        "\n| done wrongly on purpose | what breaks | steps | states | time |\n|---|---|--:|--:|--:|"
    )?;
    let mut ways = Vec::new();
    for wrong in subject.wrong {
        let (found, way) = shortest(wrong.model, wrong.breaks);
        let steps = way.as_ref().map_or("**NOT FOUND**".to_owned(), |way| way.steps.len().to_string());
        let (states, took) = (grouped(found.states), seconds(found.took));
        writeln!(out, "| {} | {} | {steps} | {states} | {took} |", wrong.fault, wrong.breaks)?;
        is_good &= way.is_some();
        ways.extend(way.map(|way| (wrong.fault, wrong.breaks, way)));
    }
    for (fault, breaks, way) in ways {
        writeln!(out, "\n```text\n{fault}: not \"{breaks}\"\n{way}\n```")?;
    }
    writeln!(out)?;
    out.flush()?;
    Ok(is_good)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// A number with commas.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (left, digit) in (0..digits.len()).rev().zip(digits.chars()) {
        grouped.push(digit);
        if left > 0 && left % 3 == 0 {
            grouped.push(',');
        }
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        assert_eq!([1, 999, 1_000, 1_234_567].map(grouped), ["1", "999", "1,000", "1,234,567"]);
    }
}
