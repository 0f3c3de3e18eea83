//! The program reads what the recipes say.

use std::fs;
use std::process::Command;

use super::read;

const STREAM: &str = r#"
[[stream]]
name = "mobile"
kind = "airship"
app_key = "abc"
auth = { bearer = { env = "AIRSHIP_TOKEN" } }
"#;

/// The blocks of TOML.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n```toml\n").skip(1).map(|rest| rest.split("\n```\n").next().unwrap())
}

#[test]
fn each_block_is_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let mut count = 0;
    for document in ["docs/recipes.md", "docs/security.md"] {
        let text = read(document);
        for block in blocks(&text) {
            count += 1;
            let file = dir.path().join(format!("{count}.toml"));
            fs::write(&file, format!("{block}\n{STREAM}")).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
            command.args(["config", "--config"]).arg(&file).env_clear();
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{document}:\n{block}\n{said}");
        }
    }
    assert_eq!(count, 5);
}
