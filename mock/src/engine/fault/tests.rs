//! How faults are written.

use super::*;
use crate::airship::fault::huge_line;
use crate::airship::log::{Log, LogOptions};

#[test]
fn flags_and_json_say_the_same() {
    let all: &[(&str, &str)] = &[
        ("eof", r#"{"fault":"eof"}"#),
        ("stall@7", r#"{"fault":{"stall":{}},"after_events":7}"#),
        ("huge_line*3", r#"{"fault":{"huge_line":{"bytes":5242880,"valid":true}},"times":3}"#),
        ("cut_mid_line@5*0", r#"{"fault":{"cut_mid_line":{}},"after_events":5,"times":0}"#),
    ];
    for (flag, json) in all {
        assert_eq!(flag.parse::<Armed>(), json.parse::<Armed>(), "{flag}");
        let armed: Armed = flag.parse().unwrap();
        let written = serde_json::to_value(&armed).unwrap();
        assert!(written["fault"].get(armed.fault.name()).is_some(), "{flag}");
        assert_eq!(Armed::from_json(written).unwrap(), armed);
    }
    for bad in ["no_such", "eof@x", r#"{"fault":"eof","tmies":1}"#, r#"{"fault":{"stall":{"sm":1}}}"#] {
        assert!(bad.parse::<Armed>().is_err(), "{bad}");
    }
}

#[test]
fn invented_lines_are_what_they_say() {
    let log = Log::new(LogOptions::default());
    assert!(serde_json::from_slice::<Value>(&garbage_line(5)).is_err());
    let huge = huge_line(&log, 5, 10_000, true);
    let value: Value = serde_json::from_slice(&huge).unwrap();
    assert_eq!((huge.len(), &value["id"]), (10_000, &Value::from("huge-5")));
    assert!(
        value["offset"].as_str() > Some(&log.offset(4)) && value["offset"].as_str() < Some(&log.offset(5))
    );
    let garbage = huge_line(&log, 5, 10_000, false);
    assert_eq!(garbage.len(), 10_000);
    assert!(serde_json::from_slice::<Value>(&garbage).is_err());
}
