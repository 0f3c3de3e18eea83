//! The demo's final table.

use indicatif::HumanCount;

use super::broker::Counted;
use super::service::Service;
use crate::supervisor::ShardFigures;

/// What happened to the events of one service, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Outcome {
    service: Service,
    /// Distinct events that the service made.
    made: u64,
    /// Lines in which it repeated one.
    repeated: u64,
    delivered: u64,
    duplicates: u64,
    dead_letters: u64,
    reconnects: u64,
    replays: u64,
    commits: u64,
    counted: Option<Counted>,
}

impl Outcome {
    pub(super) fn new(
        service: Service,
        (made, repeated): (u64, u64),
        figures: &[ShardFigures],
        counted: Option<Counted>,
    ) -> Self {
        let sum = |of: fn(&ShardFigures) -> u64| service.figures(figures).map(of).sum();
        Self {
            service,
            made,
            repeated,
            delivered: sum(|shard| shard.shard.delivered.get()),
            duplicates: sum(|shard| shard.shard.duplicates.get()),
            dead_letters: sum(|shard| shard.shard.total_dead_letters()),
            reconnects: sum(|shard| shard.source.total_reconnects()),
            replays: sum(|shard| shard.shard.replays.get()),
            commits: sum(|shard| shard.shard.commits.get()),
            counted,
        }
    }

    /// Whether each event arrived once.
    pub(super) fn is_right(&self) -> bool {
        let counted = self.counted.unwrap_or(Counted { records: self.delivered, distinct: self.delivered });
        self.delivered == self.made && counted.records == self.made && counted.distinct == self.made
    }

    fn rows(&self) -> Vec<(&'static str, u64)> {
        let mut rows = vec![
            ("events made by the service", self.made),
            ("times it sent one again", self.repeated),
            ("events delivered to Kafka", self.delivered),
            ("duplicates dropped", self.duplicates),
            ("dead letters", self.dead_letters),
            ("reconnects", self.reconnects),
            ("replays", self.replays),
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
        rows
    }
}

/// The table: a column for each service.
pub(super) fn render(broker: &str, outcomes: &[Outcome]) -> String {
    let columns: Vec<_> = outcomes.iter().map(Outcome::rows).collect();
    let heads = outcomes.iter().map(|outcome| format!("{:>14}", outcome.service.name())).collect::<String>();
    let names = columns.first().into_iter().flatten().map(|(name, _)| *name);
    let line = |(at, name): (usize, &str)| {
        let cells = columns.iter().filter_map(|rows| rows.get(at));
        let cells: String =
            cells.map(|(_, count)| format!("{:>14}", HumanCount(*count).to_string())).collect();
        format!("  {name:<36}{cells}\n")
    };
    let lines: String = names.enumerate().map(line).collect();
    format!("{broker}\n\n  {:<36}{heads}\n{lines}", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(service: Service, delivered: u64, counted: Option<Counted>) -> Outcome {
        Outcome {
            service,
            made: 980,
            repeated: 20,
            delivered,
            duplicates: 20,
            dead_letters: 0,
            reconnects: 3,
            replays: 0,
            commits: 9,
            counted,
        }
    }

    #[test]
    fn only_equal_counts_are_right() {
        let airship = |delivered, counted| outcome(Service::Airship, delivered, counted);
        assert!(airship(980, None).is_right());
        assert!(!airship(979, None).is_right());
        assert!(airship(980, Some(Counted { records: 980, distinct: 980 })).is_right());
        let wrong = airship(980, Some(Counted { records: 981, distinct: 979 }));
        assert!(!wrong.is_right());
        let right = outcome(Service::Adobe, 980, Some(Counted { records: 980, distinct: 980 }));
        let table = render("a broker", &[wrong, right]);
        for line in [
            "                                             airship         adobe\n",
            "  lost                                             1             0\n",
            "  delivered twice                                  2             0\n",
        ] {
            assert!(table.contains(line), "{line:?} is missing in\n{table}");
        }
    }
}
