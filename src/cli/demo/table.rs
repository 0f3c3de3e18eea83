//! The demo's final table.

use indicatif::HumanCount;

use super::broker::Counted;
use crate::supervisor::ShardFigures;

/// What happened, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Outcome {
    /// Distinct events that the service made.
    made: u64,
    /// Lines in which it repeated one.
    repeated: u64,
    delivered: u64,
    duplicates: u64,
    dead_letters: u64,
    reconnects: u64,
    commits: u64,
    counted: Option<Counted>,
}

impl Outcome {
    pub(super) fn new(made: u64, lines: u64, figures: &[ShardFigures], counted: Option<Counted>) -> Self {
        let sum = |of: fn(&ShardFigures) -> u64| figures.iter().map(of).sum();
        Self {
            made,
            repeated: lines - made,
            delivered: sum(|shard| shard.shard.delivered.get()),
            duplicates: sum(|shard| shard.shard.duplicates.get()),
            dead_letters: sum(|shard| shard.shard.total_dead_letters()),
            reconnects: sum(|shard| shard.source.total_reconnects()),
            commits: sum(|shard| shard.shard.commits.get()),
            counted,
        }
    }

    /// Whether each event arrived once.
    pub(super) fn is_right(&self) -> bool {
        let counted = self.counted.unwrap_or(Counted { records: self.delivered, distinct: self.delivered });
        self.delivered == self.made && counted.records == self.made && counted.distinct == self.made
    }

    /// The table.
    pub(super) fn render(&self, broker: &str) -> String {
        let mut rows = vec![
            ("events made by the service", self.made),
            ("lines in which it repeated one", self.repeated),
            ("events delivered to Kafka", self.delivered),
            ("duplicates dropped", self.duplicates),
            ("dead letters", self.dead_letters),
            ("reconnects", self.reconnects),
            ("commits", self.commits),
        ];
        if let Some(counted) = self.counted {
            rows.push(("records read back, read_committed", counted.records));
            rows.push(("distinct ids among them", counted.distinct));
        }
        rows.push((
            "lost",
            self.made.saturating_sub(self.counted.map_or(self.delivered, |counted| counted.distinct)),
        ));
        rows.push((
            "delivered twice",
            self.counted.map_or(self.delivered.saturating_sub(self.made), |counted| {
                counted.records - counted.distinct
            }),
        ));
        let rows = rows
            .into_iter()
            .map(|(name, count)| format!("  {name:<36}{:>14}\n", HumanCount(count).to_string()));
        format!("{broker}\n\n{}", rows.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(delivered: u64, counted: Option<Counted>) -> Outcome {
        Outcome {
            made: 980,
            repeated: 20,
            delivered,
            duplicates: 20,
            dead_letters: 0,
            reconnects: 3,
            commits: 9,
            counted,
        }
    }

    #[test]
    fn only_equal_counts_are_right() {
        assert!(outcome(980, None).is_right());
        assert!(!outcome(979, None).is_right());
        assert!(outcome(980, Some(Counted { records: 980, distinct: 980 })).is_right());
        assert!(!outcome(980, Some(Counted { records: 981, distinct: 980 })).is_right());
        let table = outcome(980, Some(Counted { records: 981, distinct: 979 })).render("a broker");
        assert!(table.contains("lost                                             1\n"), "{table}");
        assert!(table.contains("delivered twice                                  2\n"), "{table}");
    }
}
