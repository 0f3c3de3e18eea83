//! The query of a request for a stream: what is known, and what is wrong with it.
//!
//! Invariant: unknown parameters are ignored, bad values of known ones are refused. Pure; knows no HTTP types.

use super::group::{Reset, Wanted};

/// A query that makes sense.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameters {
    pub(super) wanted: Wanted,
    pub(super) smoothing: bool,
}

impl Parameters {
    /// Reads the query; `resets` are the values of `reset` that are known.
    pub(super) fn parse(query: &[(String, String)], resets: &[String]) -> Result<Self, String> {
        let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let number = |name: &str, range: std::ops::RangeInclusive<u64>| match value(name) {
            None => Ok(None),
            Some(text) => match text.parse::<u64>() {
                Ok(number) if range.contains(&number) => Ok(Some(number)),
                _ => Err(format!("{name} must be between {} and {}", range.start(), range.end())),
            },
        };
        let max_connections = number("maxConnections", 1..=8)?.unwrap_or(1);
        number("smoothingBucketSize", 1..=7200)?;
        let reset = match value("reset") {
            None => None,
            Some(text) if !resets.iter().any(|known| known == text) => {
                return Err(format!("reset must be one of {}", resets.join(", ")));
            }
            Some("smallest" | "earliest") => Some(Reset::Oldest),
            Some(_) => Some(Reset::Newest),
        };
        let smoothing = value("smoothing") == Some("1");
        Ok(Self { wanted: Wanted { max_connections, reset }, smoothing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Parameters, String> {
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Parameters::parse(&pairs, &["smallest".to_owned(), "latest".to_owned()])
    }

    #[test]
    fn values_are_checked() {
        for bad in [
            "maxConnections=0",
            "maxConnections=9",
            "maxConnections=x",
            "smoothingBucketSize=0",
            "smoothingBucketSize=7201",
            "reset=earliest",
            "reset=",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let good =
            parse("maxConnections=8&reset=smallest&smoothing=1&smoothingBucketSize=7200&beta=true").unwrap();
        assert_eq!(
            (good.wanted.max_connections, good.wanted.reset, good.smoothing),
            (8, Some(Reset::Oldest), true)
        );
        let none = parse("").unwrap();
        assert_eq!((none.wanted.max_connections, none.wanted.reset, none.smoothing), (1, None, false));
    }
}
