//! The query of a request for a stream: what is known, and what is wrong with it.
//!
//! Invariant: unknown parameters are ignored, bad values of known ones are refused. Pure; knows no HTTP types.

use super::group::{Reset, Wanted};

impl Wanted {
    /// Reads the query.
    pub(super) fn parse(query: &[(String, String)]) -> Result<Self, String> {
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
            Some("smallest" | "earliest") => Some(Reset::Oldest),
            Some("largest" | "latest") => Some(Reset::Newest),
            Some(_) => return Err("reset must be one of smallest, largest, earliest, latest".to_owned()),
        };
        Ok(Self { max_connections, reset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Wanted, String> {
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Wanted::parse(&pairs)
    }

    #[test]
    fn values_are_checked() {
        for bad in [
            "maxConnections=0",
            "maxConnections=9",
            "maxConnections=x",
            "smoothingBucketSize=0",
            "smoothingBucketSize=7201",
            "reset=newest",
            "reset=",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let good =
            parse("maxConnections=8&reset=smallest&smoothing=1&smoothingBucketSize=7200&beta=true").unwrap();
        assert_eq!((good.max_connections, good.reset), (8, Some(Reset::Oldest)));
        assert_eq!(parse("reset=latest").unwrap().reset, Some(Reset::Newest));
        let none = parse("").unwrap();
        assert_eq!((none.max_connections, none.reset), (1, None));
    }
}
