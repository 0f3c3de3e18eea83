//! The oracle tested: with each rule of exactly-once broken on purpose, the campaign must find it, and say what it found.
//!
//! `proof/broken` runs it for all rules with faults of all kinds until each is found, and prints the table.

use super::Campaign;
use super::faults::Kind;
use super::options::Options;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use tokio::time::Instant;

/// A rule, the faults by which it is found soonest, and what the oracle may say then.
struct Rule {
    name: &'static str,
    kind: Kind,
    says: &'static [&'static str],
}

const RULES: [Rule; 8] = [
    Rule { name: "dedupe", kind: Kind::Killed, says: &["TWICE"] },
    Rule { name: "journal", kind: Kind::Killed, says: &["TWICE"] },
    Rule { name: "read_back", kind: Kind::Killed, says: &["TWICE"] },
    Rule { name: "claim", kind: Kind::Killed, says: &["NO CLAIM"] },
    // Where a batch is tried once more, its checkpoint is there once more, too.
    Rule { name: "checkpoint_order", kind: Kind::KilledAtStep, says: &["LOST", "TWO WRITERS"] },
    Rule { name: "one_transaction", kind: Kind::KilledAtStep, says: &["TWICE"] },
    Rule { name: "fence", kind: Kind::StoodStillDeaf, says: &["TWICE", "TWO WRITERS"] },
    Rule { name: "owner", kind: Kind::StoodStillDeaf, says: &["TWICE", "TWO WRITERS"] },
];

/// With these words the oracle says what is wrong. Any other panic is a defect of the campaign or of the program.
const WORDS: [&str; 8] =
    ["TWICE", "LOST", "OUT OF ORDER", "TWO WRITERS", "NO CLAIM", "MISCOUNTED", "WRONG SHARD", "CHANGED"];

/// How long a rule may stay unnoticed.
const FOUND_WITHIN: Duration = Duration::from_secs(300);

/// Of the log of an instance, where something was found.
const LOG_LINES: usize = 30;

/// What came of a campaign with a broken rule.
struct Outcome {
    said: Option<String>,
    faults: u32,
    seconds: f64,
}

impl Rule {
    /// Zombies have long transactions, so that they stand still with one open.
    fn commit_interval(&self) -> &'static str {
        if self.kind == Kind::StoodStillDeaf { "2s" } else { "50ms" }
    }

    /// Without a fence, what an instance left open ends in no other way than by its time, and whoever opens its shards waits for that.
    fn transaction_timeout(&self, usual: &'static str) -> &'static str {
        if self.name == "fence" { "30s" } else { usual }
    }

    /// Runs a campaign with this rule broken, until the oracle says something. That a wait was in vain, for one, is no verdict.
    #[track_caller]
    fn run(&self, options: Options) -> Outcome {
        let since = Instant::now();
        let transaction_timeout = self.transaction_timeout(options.transaction_timeout);
        let mut campaign = Campaign::new(Options { broken: Some(self.name), transaction_timeout, ..options });
        let found = catch_unwind(AssertUnwindSafe(|| campaign.run()));
        let said = found.err().map(text);
        let (faults, seconds) = (campaign.hits.values().sum(), since.elapsed().as_secs_f64());
        if let Some(other) = said.as_ref().filter(|said| !WORDS.iter().any(|word| said.starts_with(word))) {
            // Why did it come so far?
            for member in &campaign.members {
                let log = member.log();
                println!(
                    "--- log of an instance:\n{}",
                    log[log.len().saturating_sub(LOG_LINES)..].join("\n")
                );
            }
            panic!(
                "{} is broken, and after {faults} faults the campaign fails before the oracle speaks: {other}",
                self.name
            );
        }
        Outcome { said, faults, seconds }
    }

    /// A short campaign of the faults that it cannot bear.
    fn short(&self) -> Options {
        Options {
            faults: u32::MAX,
            limit: FOUND_WITHIN,
            stays_deaf: true,
            kinds: vec![self.kind],
            members: 2,
            shards: 2,
            step: 4,
            commit_interval: self.commit_interval(),
            steps: &["before_commit", "after_checkpoint"],
            away: Duration::from_millis(200),
            ..Options::default()
        }
    }

    /// Must be found, in a short campaign by a word that fits. Prints its row of the table.
    #[track_caller]
    fn check(&self, is_short: bool) {
        let options = match is_short {
            true => self.short(),
            false => Options { faults: u32::MAX, limit: FOUND_WITHIN, ..Options::from_env() },
        };
        let Outcome { said, faults, seconds } = self.run(options);
        let said = said.unwrap_or_else(|| panic!("{} is broken, and the oracle says nothing", self.name));
        let first = said.lines().next().unwrap_or_default();
        println!("| `{}` | {first} | {faults} | {seconds:.1} |", self.name);
        let fits = self.says.iter().any(|says| said.starts_with(says));
        assert!(fits || !is_short, "{}: {said}", self.name);
    }
}

/// Checks the rules with such faults. `TRIBUTARY_TEST_RULES` asks for some of them, or all if it is empty, under faults of all kinds.
#[track_caller]
fn check_rules(have: impl Fn(Kind) -> bool) {
    let asked = std::env::var("TRIBUTARY_TEST_RULES").ok();
    let is_asked = |rule: &&Rule| {
        asked.as_ref().is_none_or(|names| names.is_empty() || names.split(' ').any(|name| name == rule.name))
    };
    for rule in RULES.iter().filter(|rule| have(rule.kind)).filter(is_asked) {
        rule.check(asked.is_none());
    }
}

/// What a panic said.
fn text(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => other.downcast_ref::<&str>().copied().unwrap_or_default().to_owned(),
    }
}

#[test]
fn a_broken_rule_is_found_when_instances_are_killed() {
    check_rules(|kind| kind != Kind::StoodStillDeaf);
}

#[test]
fn a_broken_rule_is_found_when_instances_stand_still() {
    check_rules(|kind| kind == Kind::StoodStillDeaf);
}
