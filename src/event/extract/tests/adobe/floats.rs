//! Numbers as other programs write them: whole floats are times, and never ids.

use super::*;

#[test]
fn whole_numbers_that_are_written_as_floats_are_times() {
    let times = |received: &str, time: &str| {
        let line = format!(r#"{{"hitIdHigh":1,"hitIdLow":2,"receivedTimeGMT":{received},"timeGMT":{time}}}"#);
        hit(&line, |record| {
            (record.processed_ms, record.occurred.map(|text| String::from_utf8(text.to_vec()).unwrap()))
        })
    };
    let same = (Some(1_372_782_179_000), Some("2013-07-02T16:22:59Z".to_owned()));
    for time in [
        "1372782179.0",
        "1372782179.000",
        "1.372782179e9",
        "1372782179e0",
        "13727821790E-1",
        "\"1372782179.0\"",
        "\"1.372782179e9\"",
    ] {
        assert_eq!(times(time, time), same, "{time}");
    }
    for time in [
        "1372782179.5",
        "-1372782179.0",
        "1372782179000.0",
        "9007199254740993.0",
        "1e300",
        "\"1e999\"",
        "\"inf\"",
        "\"NaN\"",
        "\"+1372782179.0\"",
        "\" 1372782179\"",
        "true",
        "{\"a\":1}",
    ] {
        assert_eq!(times(time, time), (None, None), "{time}");
    }
}

#[test]
fn an_id_with_a_half_that_cannot_be_read_is_none() {
    let others = r#""mcVisIdHigh":3,"mcVisIdLow":4,"customVisId":"crm""#;
    for half in [
        "1.0",
        "7.0",
        "1.5",
        "1.8446744073709552e19",
        "18446744073709551616",
        "-9223372036854775809",
        "\"x\"",
        "\"+7\"",
        "\"7.0\"",
        "true",
        "[7]",
        "{\"a\":7}",
    ] {
        assert_eq!(key(&format!(r#""visIdHigh":{half},"visIdLow":7,{others}"#)), "m:3:4", "{half}");
        assert_eq!(key(&format!(r#""visIdHigh":7,"visIdLow":{half},{others}"#)), "m:3:4", "{half}");
        let mc = format!(r#""mcVisIdHigh":{half},"mcVisIdLow":4,"customVisId":"crm""#);
        assert_eq!(key(&mc), "c:crm", "{half}");
        assert_eq!(key(&format!(r#""visIdHigh":{half},"visIdLow":7"#)), "h:1-2", "{half}");
    }
    // What is not there is zero, and what is written otherwise is read.
    for half in ["0", "null", "\"\""] {
        assert_eq!(key(&format!(r#""visIdHigh":{half},"visIdLow":7,{others}"#)), "v:0:7", "{half}");
    }
    assert_eq!(key(&format!(r#""visIdHigh":"-1","visIdLow":-1,{others}"#)), format!("v:{0}:{0}", u64::MAX));
}
