//! Any secret, in any spelling, anywhere in a text that may be cut anywhere.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn hider(secrets: &[&str]) -> Hider {
    let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
    Hider::new(&secrets)
}

#[test]
fn a_text_is_made_one_line() {
    assert_eq!(printable("<h1>busy\n\t</h1>\u{1b}[31m"), "<h1>busy </h1>[31m");
    assert_eq!(hider(&["hunter2"]).quote("a\nhun\u{1b}ter2\tb", true), "a <hidden> b");
}

#[test]
fn what_has_no_secret_is_left_alone() {
    let text = r#"{"error":"check the token \u00e4 & 100% of a+b","path":"C:\\x"}"#;
    assert_eq!(hider(&["hunter2-hunter2", "t0ken"]).quote(text, true), text);
    assert_eq!(hider(&[]).quote(text, true), text);
    assert_eq!(hider(&[""]).quote(text, true), text);
    // A short one is hidden as a whole only.
    assert_eq!(
        hider(&["token"]).hide("the tokens are token-like: toke"),
        "the <hidden>s are <hidden>-like: toke"
    );
}

#[test]
fn spellings() {
    let hider = hider(&["p/a\"s&s w%ö😀rd+1"]);
    for spelled in [
        "p/a\"s&s w%ö😀rd+1",
        // JSON, three writers.
        r#"p/a\"s&s w%ö😀rd+1"#,
        r#"p\/a\"s&s w%ö😀rd+1"#,
        r#"p\u002fa\u0022s\u0026s\u0020w\u0025\u00F6\ud83d\ude00rd\u002B1"#,
        // A form, a path, in lower case.
        "p%2Fa%22s%26s+w%25%C3%B6%F0%9F%98%80rd%2B1",
        "p%2fa%22s&s%20w%25%c3%b6%f0%9f%98%80rd+1",
        // HTML.
        "p/a&quot;s&amp;s w%ö😀rd+1",
        "p&#47;a&#34;s&#38;s&#32;w%&#xF6;&#128512;rd&#43;1",
        // In one another: a form in JSON, JSON in JSON in HTML, percent in percent.
        r"p\u00252Fa%22s%26s+w%25%C3%B6%F0%9F%98%80rd%2B1",
        r#"p\\\/a\\\"s&amp;s w%ö😀rd+1"#,
        "p%252Fa%2522s%2526s%2520w%2525%25C3%25B6%25F0%259F%2598%2580rd%252B1",
        // Python's, and shouted.
        r"p\x2fa\x22s\x26s w%ö😀rd+1",
        "P/A\"S&S W%ö😀RD+1",
    ] {
        assert_eq!(hider.quote(&format!("no: {spelled}!"), true), "no: <hidden>!", "{spelled}");
        assert_eq!(
            hider.quote(&format!("\\{spelled}%4"), true).replace(['\\', '%', '4'], ""),
            "<hidden>",
            "{spelled}"
        );
    }
}

#[test]
fn base64_of_it_and_of_what_it_stands_in() {
    let hider = hider(&["hunter2-?>ÿ"]);
    for user in ["", "u", "us", "use"] {
        for text in [
            BASE64_STANDARD.encode(format!("{user}:hunter2-?>ÿ")),
            BASE64_URL_SAFE_NO_PAD.encode(format!("{user}hunter2-?>ÿ, and more")),
        ] {
            let quoted = hider.quote(&format!("Basic {text} is wrong"), true);
            assert!(quoted.contains("<hidden>"), "{text}: {quoted}");
            // What is left stands for what is beside the secret.
            let left: String = quoted
                .replace("<hidden>", " ")
                .split(' ')
                .filter(|part| text.contains(part) && part.len() >= PIECE)
                .collect();
            let decoded = BASE64_URL_SAFE_NO_PAD.decode(&left).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&decoded).contains("hunt"), "{quoted}");
        }
    }
}

#[test]
fn a_part_of_a_secret_is_too_much() {
    let hider = hider(&["abcdefghijklmnop"]);
    assert_eq!(hider.hide("token ghijkl… is bad"), "token <hidden>… is bad");
    assert_eq!(hider.hide("token abcde… is bad"), "token abcde… is bad");
    assert_eq!(hider.quote("token ab", false), "token <hidden>", "more of it may have followed");
    assert_eq!(hider.quote("token \\u0061%6", false), "token <hidden>");
}

/// How a letter is written.
fn spell(letter: char, how: u8) -> String {
    let mut utf8 = [0; 4];
    let bytes = letter.encode_utf8(&mut utf8).bytes();
    let mut utf16 = [0; 2];
    match how % 8 {
        0 => bytes.map(|byte| format!("%{byte:02X}")).collect(),
        1 => bytes.map(|byte| format!("%{byte:02x}")).collect(),
        2 => letter.encode_utf16(&mut utf16).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        3 => letter.encode_utf16(&mut utf16).iter().map(|unit| format!("\\u{unit:04X}")).collect(),
        4 => format!("&#{};", u32::from(letter)),
        5 => match letter {
            '/' | '"' | '\\' => format!("\\{letter}"),
            '\n' => "\\n".to_owned(),
            _ => letter.to_string(),
        },
        6 if letter == ' ' => "+".to_owned(),
        _ => letter.to_string(),
    }
}

/// Every letter of a text written in a way of its own.
fn spelled(text: &str, ways: &[u8]) -> Vec<String> {
    text.chars().zip(ways.iter().cycle()).map(|(letter, how)| spell(letter, *how)).collect()
}

proptest! {
    #[test]
    fn no_piece_of_a_secret_is_shown(
        secret in "[ -~äß€😀]{8,40}",
        (first, second) in (vec(0_u8..16, 1..12), vec(0_u8..16, 1..12)),
        twice: bool,
        (before, after) in ("[ -~\n\t]{0,600}", "[ -~]{0,60}"),
        cut in 0_usize..900,
    ) {
        let mut pieces = spelled(&secret, &first);
        if twice {
            pieces = pieces.iter().map(|piece| spelled(piece, &second).concat()).collect();
        }
        let text = format!("{before}{}{after}", pieces.concat());
        let end = text.floor_char_boundary(cut.min(text.len()));
        let whole = end == text.len();
        let quoted = hider(&[&secret]).quote(&text[..end], whole);
        for piece in pieces.windows(PIECE) {
            let piece = printable(&piece.concat());
            // Blanks at its ends are what a piece loses when the line is tidied.
            prop_assert!(piece.chars().count() < PIECE || !quoted.contains(&piece), "{piece:?} in {quoted:?}");
        }
        prop_assert!(quoted.len() <= MAX_QUOTED);
    }

    #[test]
    fn no_piece_of_its_base64_is_shown(
        secret in "[ -~]{8,40}",
        (around, behind) in ("[ -~]{0,5}", "[ -~]{0,5}"),
        alphabet in 0..3,
        before in "[ -~]{0,600}",
        cut in 0_usize..800,
    ) {
        let inner = format!("{around}{secret}{behind}");
        let encoded = match alphabet {
            0 => BASE64_STANDARD.encode(&inner),
            1 => BASE64_URL_SAFE.encode(&inner),
            _ => BASE64_URL_SAFE_NO_PAD.encode(&inner),
        };
        let text = format!("{before} {encoded} .");
        let end = cut.min(text.len());
        let quoted = hider(&[&secret]).quote(&text[..end], end == text.len());
        // The letters that stand for the secret alone.
        let (from, to) = ((around.len() * 8).div_ceil(6), (around.len() + secret.len()) * 8 / 6);
        let own: Vec<char> = encoded[from..to].chars().collect();
        for piece in own.windows(PIECE) {
            let piece: String = piece.iter().collect();
            prop_assert!(!quoted.contains(&piece), "{piece:?} in {quoted:?}");
        }
    }
}
