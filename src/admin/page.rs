//! The status page `/`: one document with its style and its script inside, which may load nothing and ask only where it came from.
//!
//! The policy names style and script by their hashes, so a browser runs nothing else, whatever a stream's name or an error says.

use axum::http::header;
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const FRAME: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// Where the style and the script go in the frame.
const PLACES: [&str; 2] = ["{style}", "{script}"];

/// The page, put together.
#[derive(Clone, Debug)]
pub(super) struct Page {
    html: String,
    policy: String,
}

impl Default for Page {
    fn default() -> Self {
        let [style, script] = PLACES;
        let policy = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            hash(STYLE),
            hash(SCRIPT)
        );
        Self { html: FRAME.replace(style, STYLE).replace(script, SCRIPT), policy }
    }
}

/// A text as a policy names it.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

impl IntoResponse for Page {
    fn into_response(self) -> axum::response::Response {
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
        ];
        (headers, [(header::CONTENT_SECURITY_POLICY, self.policy)], self.html).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_style_and_script_inside_and_loads_nothing() {
        let Page { html, policy } = Page::default();
        assert!(
            html.contains(&format!("<style>{STYLE}</style>")),
            "what is hashed is all that stands between the tags"
        );
        assert!(html.contains(&format!("<script>{SCRIPT}</script>")));
        assert!(policy.contains(&hash(STYLE)) && policy.contains(&hash(SCRIPT)));
        for outside in [
            "http://",
            "https://",
            "@import",
            "url(",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            " style=",
        ] {
            // The name of SVG is no address.
            let html = html.replace("http://www.w3.org/2000/svg", "");
            assert!(!html.contains(outside), "{outside}");
        }
    }
}
