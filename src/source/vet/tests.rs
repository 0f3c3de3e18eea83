//! What proves a stream, what is held back, and what is refused.

use bytes::Bytes;
use http::HeaderValue;

use super::*;
use crate::source::{adobe, airship};

fn vetting(media_type: Option<&'static str>) -> Vetting {
    let headers = media_type.map(|media| (header::CONTENT_TYPE, HeaderValue::from_static(media)));
    Vetting::new(&headers.into_iter().collect(), airship::line::MARKS)
}

fn block(text: &str) -> Block {
    Block::Lines(Bytes::copy_from_slice(text.as_bytes()))
}

/// What comes out of these blocks, or the message of the refusal.
fn run(media_type: Option<&'static str>, blocks: &[&str], partial: &str) -> Result<Vec<String>, String> {
    let (mut vetting, mut out) = (vetting(media_type), Vec::new());
    for text in blocks {
        for block in vetting.take(block(text)).map_err(|failure| failure.message)? {
            let Block::Lines(bytes) = block else { panic!("{block:?}") };
            out.push(String::from_utf8(bytes.to_vec()).unwrap());
        }
    }
    vetting.look_at_partial(Some(partial.as_bytes()), true).map_err(|failure| failure.message)?;
    Ok(out)
}

#[test]
fn a_json_object_proves_a_stream_however_it_is_labelled() {
    let labels = [None, Some("application/vnd.urbanairship+x-ndjson; version=3;"), Some("text/plain")];
    for label in labels {
        assert_eq!(
            run(label, &["\r\n", "{\"offset\":1}\n", "garbage\n"], "tor").unwrap(),
            ["{\"offset\":1}\n", "garbage\n"]
        );
        assert_eq!(run(label, &["\n"], "").unwrap(), [""; 0], "a quiet stream");
        assert_eq!(run(label, &[], "{\"torn\":").unwrap(), [""; 0]);
    }
}

#[test]
fn a_broken_first_line_is_kept_for_what_follows() {
    let out = run(None, &["%% broken\n", "[1]\n\n", "{\"offset\":1}\n"], "").unwrap();
    assert_eq!(out, ["%% broken\n", "[1]\n\n", "{\"offset\":1}\n"], "nothing is lost, and in its order");
    let mut held = vetting(None);
    assert_eq!(held.take(block("%% broken\n")).unwrap().count(), 0);
    assert!(held.holds() && !held.is_proven());
    let head = Bytes::from_static(b"{\"long\":");
    assert_eq!(held.take(Block::Oversize { head, length: 9 << 20 }).unwrap().count(), 2);
    assert!(held.is_proven() && !held.holds());
}

#[test]
fn what_is_no_stream_is_told_by_its_class_and_never_quoted() {
    let page = "<html>\n<script>\n{\"@context\":\"x\"}\n</script>\n";
    let many = "secret\n".repeat(MOST_LINES + 1);
    for (label, blocks, partial, class) in [
        (Some("text/html"), vec![page], "", "markup, such as a page, labelled text/html"),
        (None, vec![page], "", "markup, such as a page"),
        (None, vec![], "<!doctype secret", "markup, such as a page"),
        (Some("text/html; charset=utf-8"), vec!["{\"secret\":1}\n"], "", "labelled text/html; charset=utf-8"),
        (Some("text/html"), vec![], "{\"secret\":", "labelled text/html"),
        (Some("text/plain"), vec!["secret\n"], "", "text that is no JSON, labelled text/plain"),
        (None, vec![&many], "", "text that is no JSON"),
        (None, vec!["{ secret: 1 }\n"], "", "text that is no JSON"),
        (None, vec![], "secret", "text that is no JSON"),
        (None, vec!["[{\"secret\":1}]\n"], "", "JSON that is no event"),
        (None, vec!["{\"secret\":1}\n"], "", "JSON that is no event"),
        (None, vec![], " {\"secret\":1}\r", "JSON that is no event"),
        (Some("application/x-ndjson"), vec!["{\"secret\":1}\n"], "{\"to", "JSON that is no event"),
        (None, vec!["\u{1}secret\n"], "{\"a", "binary data"),
    ] {
        let message = run(label, &blocks, partial).unwrap_err();
        assert!(message.contains(class), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
    let odd = vetting(Some("a<b>\"c d")).failure(Looks::Text).message;
    assert!(odd.contains("labelled abc d)"), "{odd}");
}

#[test]
fn what_is_held_back_has_a_limit() {
    let mut vetting = vetting(None);
    let line = format!("{}\n", "x".repeat(MOST_BYTES / 2));
    assert!(vetting.take(block(&line)).is_ok());
    assert!(vetting.take(block(&line)).is_err());
    let mut vetting = self::vetting(None);
    vetting.look_at_partial(Some(&[b'x'; MOST_BYTES]), false).unwrap();
    vetting.look_at_partial(Some(&[b'x'; MOST_BYTES + 1]), false).unwrap_err();
    let mut vetting = self::vetting(None);
    vetting.look_at_partial(Some(b"<html"), false).unwrap_err();
}

fn is_line(marks: Marks, line: &str) -> bool {
    Names::of(line.as_bytes()).is_some_and(|names| (marks.is_line)(&names))
}

#[test]
fn a_line_has_what_each_line_of_its_service_has() {
    for line in [
        r#"{"offset":"1"}"#,
        r#"{"type":"OFFSET_UPDATE","offset":"1"}"#,
        r#"{"id":"a","type":"OPEN","id":"b"}"#,
        r#"{"off\u0073et":1,"body":{}}"#,
    ] {
        assert!(is_line(airship::line::MARKS, line), "{line}");
    }
    for line in [
        "{}",
        r#"{"message":"maintenance"}"#,
        r#"{"id":"request","error":"x"}"#,
        r#"{"body":{"offset":"1"}}"#,
        r#"["offset"]"#,
        r#"{"offset":1"#,
        r#"{"hitIdHigh":1}"#,
    ] {
        assert!(!is_line(airship::line::MARKS, line), "{line}");
    }
    assert!(is_line(adobe::protocol::MARKS, r#"{"reportSuite":"x","hitIdHigh":1,"hitIdLow":2}"#));
    for line in [r#"{"offset":"1"}"#, r#"{"hitIdLow":2}"#, r#"{"error":"409"}"#] {
        assert!(!is_line(adobe::protocol::MARKS, line), "{line}");
    }
}

#[test]
fn an_object_that_is_no_event_is_kept_for_what_follows() {
    let lines = ["{\"message\":\"x\"}\n", "{}\n", "{\"offset\":1}\n"];
    assert_eq!(run(None, &lines, "").unwrap(), lines, "nothing is lost, and in its order");
    let mut vetting = vetting(None);
    assert_eq!(vetting.take(block(lines[0])).unwrap().count(), 0);
    assert!(vetting.holds() && !vetting.is_proven());
    assert_eq!(run(None, &[], "{\"offset\":1}").unwrap(), [""; 0], "an event whose line end was torn");
}

#[test]
fn nothing_but_blank_lines_is_told_from_lines_that_are_held_back() {
    let mut vetting = vetting(None);
    assert_eq!(vetting.take(block("\r\n\n")).unwrap().count(), 0);
    assert!(vetting.is_blank());
    assert_eq!(vetting.take(block(": ping\n")).unwrap().count(), 0);
    assert!(!vetting.is_blank() && !vetting.is_proven());
}

#[test]
fn a_long_broken_event_is_of_a_stream() {
    let long = format!("{{ {}\n", "x".repeat(MOST_BYTES));
    assert_eq!(run(None, &["%% broken\n", &long], "").unwrap(), ["%% broken\n", &long]);
    assert!(run(Some("text/html"), &[&long], "").is_err(), "a page says so");
}

#[test]
fn what_looks_like_the_stream_is_given_more_patience_and_then_says_what_to_do() {
    let broken = |lines| "{ broken\n".repeat(lines);
    let limit = MOST_LINES * PATIENCE;
    let labels = ["application/x-ndjson", "application/vnd.urbanairship+json; version=3;"];
    for label in labels {
        let out = run(Some(label), &[&broken(limit), "{\"offset\":1}\n"], "").unwrap();
        assert_eq!(out, [&broken(limit), "{\"offset\":1}\n"], "{label}");
        let message = run(Some(label), &[&broken(limit + 1)], "").unwrap_err();
        assert!(message.contains("`run --start-anew STREAM=WORD`"), "{message}");
        let page = run(Some(label), &["{\"message\":1}\n"], "").unwrap_err();
        assert!(page.contains("check url") && !page.contains("--start-anew"), "{page}");
    }
    let message = run(Some("application/json"), &[&broken(MOST_LINES + 1)], "").unwrap_err();
    assert!(message.contains("`run --start-anew STREAM=WORD`"), "{message}");
    // What is compressed has to look like events too: pages are compressed as well.
    for (line, fits) in [("{ broken\n", true), ("broken\n", false)] {
        let mut vetting = vetting(None);
        vetting.note_compression(true);
        assert_eq!(vetting.take(block(&line.repeat(MOST_LINES + 1))).is_ok(), fits, "{line}");
    }
}
