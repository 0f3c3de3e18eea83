//! Any text is a configuration or has errors, each with its place; what `config` prints of it loads again and prints the same; and
//! no secret is in anything of it.

use super::Input;
use crate::config;

/// A secret, which stands where secrets stand and may be shown nowhere.
const PLANTED: &str = "hunter2";

/// What stands around the text, with the secret in it: the text comes at the top, in the table of Kafka, or in a stream.
const AROUND: [(&str, &str); 5] = [
    ("", ""),
    ("", "\n[kafka]\nbootstrap_servers = \"k:9092\"\nproperties = { \"sasl.password\" = \"hunter2\" }\n"),
    (
        "[kafka]\nproperties.\"ssl.key.pem\" = \"hunter2\"\n",
        "\n[http]\nproxy = \"http://u:hunter2@proxy:3128\"\n",
    ),
    (
        "[kafka]\nbootstrap_servers = \"k:9092\"\n[[stream]]\nauth.bearer.value = \"hunter2\"\n",
        "\n[[stream]]\nname = \"z\"\nkind = \"airship\"\napp_key = \"k\"\nauth.bearer = { value = \"hunter2\" }\n",
    ),
    (
        "[kafka]\nbootstrap_servers = \"k:9092\"\n[[stream]]\nkind = \"airship_webhook\"\nauth = { bearer = { value = \"hunter2\" } }\n",
        "\n[[stream.redact]]\npath = \"a\"\naction = \"hash\"\nsecret.value = \"hunter2hunter2hunter2\"\n",
    ),
];

pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let (before, behind) = AROUND[usize::from(input.byte()) % AROUND.len()];
    let Ok(text) = std::str::from_utf8(input.rest) else { return };
    if text.contains(PLANTED) {
        return;
    }
    match config::parse(&format!("{before}{text}{behind}")) {
        Err(errors) => {
            assert!(errors.iter().count() > 0, "an error says what is wrong");
            for error in errors.iter() {
                assert!(!error.path.is_empty() && !error.message.is_empty(), "{error}");
            }
            assert!(!errors.to_string().contains(PLANTED), "{errors}");
        }
        Ok(config) => {
            let printed = config.render();
            let shown = format!("{printed}\n{config:?}\n{:?}", config.warnings());
            assert!(!shown.contains(PLANTED), "{shown}");
            let again = config::parse(&printed).map(|again| again.render());
            assert_eq!(again, Ok(printed), "it loads again and prints the same");
        }
    }
}
