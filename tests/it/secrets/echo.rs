//! A server that says again what it was sent.

use crate::harness::listener::{Listener, response};

/// Answers each request with 401 and what was in its `Authorization`, in the ways in which servers do that.
pub(super) fn echoing() -> Listener {
    Listener::answering(|number, heard| Some(echo(number, &heard.head)))
}

/// In turn: plain, broken off inside the secret, with the secret at the end of what a client would keep, as JSON, then in
/// JSON's, a form's and HTML's spelling, and the first half of it.
fn echo(number: usize, head: &str) -> Vec<u8> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:"));
    let sent = line.and_then(|line| line.split_once(':')).map_or("nothing", |(_, value)| value.trim());
    let special = |write: fn(char) -> String| -> String {
        sent.chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_string() } else { write(letter) })
            .collect()
    };
    let body = match number % 8 {
        0 => format!("you sent {sent}, which is wrong"),
        1 => format!("you sent {}{sent}{}", " ".repeat(480), ".".repeat(2_000)),
        2 => format!("you sent {}{sent}{sent}{sent}", "x".repeat(number % 90 + 440)),
        3 => format!("{{\"error\":\"you sent {sent}\",\"again\":\"{sent}\"}}"),
        4 => format!("{{\"error_description\":\"you sent {}\"}}", sent.replace('/', "\\/")),
        5 => format!(
            "{{\"error\":\"you sent {}\"}}",
            special(|letter| format!("\\u{:04x}", u32::from(letter)))
        ),
        6 => format!("you sent {}", special(|letter| format!("%{:02X}", u32::from(letter)))),
        _ => format!("<p>you sent {}…", &special(|letter| format!("&#{};", u32::from(letter)))),
    };
    response(401, "text/plain", body.as_bytes())
}
