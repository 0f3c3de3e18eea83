//! Errors as text, for logs: each error prints only itself, so the chain is put together where it is reported.

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

#[cfg(test)]
mod tests {
    use super::*;

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
