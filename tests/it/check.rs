//! `tributary check`: each failure that it names, made for real; and that it changes nothing.

mod kafka;
mod machine;
mod oauth;
mod reaching;
mod streams;
mod trying;

use crate::harness::airship::{LIMIT, Mock, Setup, service};
use crate::harness::broker::broker;
use crate::harness::process;
use serde_json::Value;
use std::fs;

/// What `check` said.
struct Checked {
    code: i32,
    json: Value,
}

impl Checked {
    /// Runs it with this configuration and these arguments.
    #[track_caller]
    fn with(config: &str, arguments: &[&str]) -> Self {
        Self::by(config, arguments, &[])
    }

    /// The same with these variables.
    #[track_caller]
    fn by(config: &str, arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), config).expect("written");
        let path = file.path().to_str().expect("UTF-8");
        let mut process =
            process::subcommand(&[&["check", "--json", "--config", path], arguments].concat(), env);
        let status = process.wait_exit(LIMIT);
        let said = process.log().join("\n");
        let json: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        let code = status.code().expect("an exit code");
        assert_eq!(json["exit_code"], code, "{said}");
        Self { code, json }
    }

    /// With enough time for a machine that has more to do than it can.
    #[track_caller]
    fn of(config: &str) -> Self {
        Self::with(config, &["--timeout", "30s"])
    }

    /// The results, findings and advice of what was looked at under a name that ends so.
    fn findings(&self, check: &str) -> Vec<[&str; 3]> {
        let checks = self.json["checks"].as_array().expect("a list").iter();
        let named = checks.filter(|found| found["check"].as_str().is_some_and(|name| name.ends_with(check)));
        named
            .map(|found| ["result", "found", "todo"].map(|key| found[key].as_str().unwrap_or_default()))
            .collect()
    }

    /// The only one of them.
    #[track_caller]
    fn finding(&self, check: &str) -> [&str; 3] {
        match self.findings(check)[..] {
            [finding] => finding,
            _ => panic!("not one finding of {check}: {:#}", self.json),
        }
    }

    /// Fails unless this failed with these words in the finding and in the advice.
    #[track_caller]
    fn assert_failed(&self, check: &str, found: &str, todo: &str) {
        let [result, said, advice] = self.finding(check);
        assert_eq!(result, "failed", "{:#}", self.json);
        assert!(said.contains(found), "no {found:?}: {said}");
        assert!(advice.contains(todo), "no {todo:?}: {advice}");
    }
}

#[test]
fn all_is_well_and_nothing_was_changed() {
    let mock = Mock::start(service(10));
    let setup = Setup::new("check", &mock);
    let checked = Checked::of(&setup.toml());
    assert_eq!(checked.code, 0, "{:#}", checked.json);
    assert_eq!(checked.finding("reach")[0], "ok");
    assert!(checked.finding(setup.topic())[1].contains("the start creates it"), "{:#}", checked.json);
    assert_eq!(broker().topics(&setup.prefix), Vec::<String>::new(), "nothing was created");
}

#[test]
fn a_table_is_for_people() {
    let mock = Mock::start(service(10));
    let setup = Setup::new("check-table", &mock);
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), setup.toml()).expect("written");
    let path = file.path().to_str().expect("UTF-8");
    let mut process = process::subcommand(&["check", "--config", path], &[]);
    assert_eq!(process.wait_exit(LIMIT).code(), Some(0), "{:#?}", process.log());
    let said = process.log();
    assert!(said[0].starts_with("RESULT"), "{said:#?}");
    // The token stands in the configuration of the tests.
    assert!(said.iter().any(|line| line.contains("What to do:")), "{said:#?}");
    assert!(said.last().expect("lines").starts_with("failed: 0, "), "{said:#?}");
}

#[test]
fn a_wrong_configuration_is_one_finding_for_each_error() {
    let checked = Checked::of("delivery = \"twice\"\n[kafka]\nbootstrap_servers = 1\n");
    assert_eq!(checked.code, 3);
    checked.assert_failed("delivery", "exactly_once", "config.example.toml");
    checked.assert_failed("kafka.bootstrap_servers", "a string", "config.example.toml");
}
