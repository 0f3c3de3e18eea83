//! Errors as text, for logs: each error prints only itself, so the chain is put together where it is reported.

use serde_json::error::Category;

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A JSON error without the text that it is about. What is not of the expected kind is quoted by serde, and it may be an
/// event's: personal, and no matter for logs and headers.
pub(crate) fn without_text(error: serde_json::Error) -> serde_json::Error {
    if !error.is_data() {
        return error;
    }
    let (line, column) = (error.line(), error.column());
    serde::de::Error::custom(format!("JSON, but not what was expected, at line {line} column {column}"))
}

/// Why a line is no JSON object, in words for whoever reads a dead letter. They quote nothing of it.
pub(crate) fn no_object(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let place = match line {
        0 => String::new(),
        1 => format!(" at byte {column}"),
        _ => format!(" at line {line}, byte {column}"),
    };
    let text = error.to_string();
    let words = text.split_once(" at line ").map_or(&*text, |(words, _)| words);
    match error.classify() {
        Category::Eof => format!("no JSON: it breaks off{place}, before its end"),
        Category::Syntax => format!("no JSON{place}: {}", in_words(words)),
        Category::Data | Category::Io => format!("JSON, but no object{place}"),
    }
}

/// The parser's words for a writer of JSON; what is plain enough stays as it is.
fn in_words(said: &str) -> &str {
    match said {
        "expected value" => "there should be a value, such as a text in double quotes, a number or true",
        "expected ident" => "only true, false and null may stand without quotes",
        "key must be a string" => "the name of a member should be there, in double quotes",
        "trailing characters" => "there is something behind the end of the object",
        "trailing comma" => "there is nothing behind the comma",
        "recursion limit exceeded" => "it has more than 127 levels of objects and lists",
        said if said.starts_with("control character") => "a control character in a text is not escaped",
        said if said.contains("escape") || said.contains("code point") => "an escape in a text is broken",
        said => said,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn what_is_no_object_is_said_in_words() {
        let said = |text: &str| {
            let mut json = serde_json::Deserializer::from_str(text);
            let read = serde_json::Map::deserialize(&mut json).and_then(|_| json.end());
            no_object(&read.expect_err("no object"))
        };
        assert_eq!(
            said("secret"),
            "no JSON at byte 1: there should be a value, such as a text in double quotes, a number or true"
        );
        assert_eq!(said(r#"{"a":1"#), "no JSON: it breaks off at byte 6, before its end");
        assert_eq!(
            said("{secret:1}"),
            "no JSON at byte 2: the name of a member should be there, in double quotes"
        );
        assert_eq!(said("{}secret"), "no JSON at byte 3: there is something behind the end of the object");
        assert_eq!(said("{\n\"a\":1 secret}"), "no JSON at line 2, byte 7: expected `,` or `}`");
        for other in [r#""secret""#, "[\"secret\"]"] {
            assert!(said(other).starts_with("JSON, but no object"), "{}", said(other));
        }
    }

    #[test]
    fn no_text_is_quoted() {
        #[derive(Debug, serde::Deserialize)]
        struct Expected {
            #[serde(rename = "n")]
            _n: u32,
        }
        let message = |text: &str| {
            let error = serde_json::from_str::<Expected>(text).expect_err("not expected");
            without_text(error).to_string()
        };
        for text in
            [r#""person""#, r#"{"n":"person"}"#, r#"["person"]"#, r#"{"n":5551234}{"person":1}"#, "person"]
        {
            let message = message(text);
            assert!(!message.contains("person") && !message.contains("555"), "{message}");
            assert!(message.contains("column"), "{message}");
        }
        assert_eq!(message(r#"{"n":"x"}"#), "JSON, but not what was expected, at line 1 column 8");
    }
}
