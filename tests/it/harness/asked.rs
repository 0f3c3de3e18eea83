//! What a run is asked for by variables. `proof/campaign` sets them; without them a test is as short as it is in `cargo test`.

use std::fmt::Display;
use std::str::FromStr;

/// The number in `TRIBUTARY_TEST_<name>`, or `otherwise` where that is not set.
#[track_caller]
pub(crate) fn number<N: FromStr<Err: Display>>(name: &str, otherwise: N) -> N {
    let name = format!("TRIBUTARY_TEST_{name}");
    let Ok(text) = std::env::var(&name) else { return otherwise };
    text.parse().unwrap_or_else(|error| panic!("{name}: {error}"))
}
