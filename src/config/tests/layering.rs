//! File, variables and flags above one another.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use super::SMALL;
use crate::config::{Config, ConfigErrors, Sources, load};
use crate::event::extract::Key;
use crate::sink::kafka;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn layered(env: &[(&str, &str)], overrides: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), SMALL).unwrap();
    load(&Sources {
        file: Some(file.path().to_owned()),
        env: pairs(env),
        overrides: pairs(overrides),
        ..Sources::default()
    })
}

#[test]
fn flags_win_over_variables_and_these_over_the_file() {
    let env = [
        ("TRIBUTARY_KAFKA__BOOTSTRAP_SERVERS", "env:1"),
        ("TRIBUTARY_KAFKA__PROPERTIES__SASL_PASSWORD", "1e3"),
        ("TRIBUTARY_COMMIT__MAX_EVENTS", "7"),
        ("TRIBUTARY_ADMIN__ENABLED", "false"),
        ("TRIBUTARY_STREAM__0__APP_KEY", "12345"),
        ("TRIBUTARY_STREAM__0__KEY", "[\"a\", \"b\"]"),
        ("TRIBUTARY_STREAM__0__TOPICS__OPEN", "opens"),
        ("TRIBUTARY_SERVICE_HOST", "10.0.0.1"),
        ("TRIBUTARY_LOG", "debug"),
        ("UNRELATED", "x"),
    ];
    let flags = [
        ("kafka.bootstrap_servers", "flag:1"),
        ("stream[0].shards", "2"),
        ("stream.0.url", "http://localhost:8080/"),
        ("kafka.properties.linger.ms", "7"),
    ];
    let config = layered(&env, &flags).unwrap();
    assert_eq!(config.plan.kafka.bootstrap_servers, "flag:1");
    assert_eq!(config.plan.kafka.properties["linger.ms"], kafka::config::Property::Text("7".into()));
    match &config.plan.kafka.properties["sasl.password"] {
        kafka::config::Property::Secret(source) => assert_eq!(source.read().unwrap().expose(), "1e3"),
        other => panic!("{other:?}"),
    }
    assert_eq!((config.plan.batch.max_events, config.admin), (7, None));
    let stream = &config.plan.streams[0];
    assert_eq!(
        (&**stream.name(), stream.shards, stream.service().unwrap().endpoint.url.port()),
        ("s", 2, Some(8080))
    );
    assert_eq!(stream.extract.key, Key::Fields(vec!["a".into(), "b".into()]));
    assert_eq!(stream.route.topics["OPEN"], "opens");
}

#[test]
fn a_stream_can_come_from_variables_alone() {
    let env = [
        ("TRIBUTARY_KAFKA__BOOTSTRAP_SERVERS", "k"),
        ("TRIBUTARY_STREAM__0__NAME", "s"),
        ("TRIBUTARY_STREAM__0__KIND", "airship"),
        ("TRIBUTARY_STREAM__0__APP_KEY", "k"),
        ("TRIBUTARY_STREAM__0__AUTH__BEARER__VALUE", "123"),
    ];
    let config = load(&Sources { file: None, env: pairs(&env), ..Sources::default() }).unwrap();
    assert_eq!(config.plan.streams.len(), 1);
    assert_eq!(config.warnings().len(), 1);
}

#[test]
fn a_variable_that_holds_a_secret_is_no_key() {
    let env = [("TRIBUTARY_TOKEN", "x"), ("TRIBUTARY_STREAM__0__AUTH__BEARER__ENV", "TRIBUTARY_TOKEN")];
    layered(&env, &[]).unwrap();
    assert!(layered(&env[..1], &[]).unwrap_err().to_string().starts_with("token: unknown key"));

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), SMALL.replace("\"T\"", "\"TRIBUTARY_TOKEN\"")).unwrap();
    let sources = Sources { file: Some(file.path().to_owned()), env: pairs(&env[..1]), ..Sources::default() };
    load(&sources).unwrap();
}

#[test]
fn without_any_layer_what_is_needed_is_said() {
    assert_eq!(load(&Sources::default()).unwrap_err().iter().count(), 2);
}

#[test]
fn an_error_names_the_variable_or_flag_it_came_from() {
    let env = [
        ("TRIBUTARY_COMMIT__INTERVAL", "soon"),
        ("TRIBUTARY_STREAM__2__NAME", "x"),
        ("TRIBUTARY_KAFK__X", "1"),
    ];
    let found = layered(&env, &[("stream[0].shards", "0"), ("admin..listen", "x")]).unwrap_err().to_string();
    for line in [
        "\"--set admin..listen\": a name between two level marks is empty",
        "such as \"100ms\", \"30s\" or \"2h 30m\": expected number at 0 (from TRIBUTARY_COMMIT__INTERVAL)",
        "kafk: unknown key; did you mean `kafka`? (from TRIBUTARY_KAFK__X)",
        "stream[0].shards: must be from 1 to 64 (from --set stream[0].shards)",
        "stream[2]: there is no stream[1] before this one",
    ] {
        assert!(found.contains(line), "{line} is not in\n{found}");
    }
}

#[test]
fn an_error_below_a_table_names_the_variable_or_flag_of_the_table() {
    let env = [
        ("TRIBUTARY_COMMIT", "{ interval = \"soon\", max_event = 1, max_bytes = 0 }"),
        (
            "TRIBUTARY_STREAM__1",
            "{ kind = \"airship\", auth = { bearer = { env = 5 } }, backoff = { min = \"0s\" } }",
        ),
        ("TRIBUTARY_STREAM__0__AUTH", "{ bearer = {} }"),
    ];
    let found = layered(&env, &[("stream[2]", "{ name = \"x\" }")]).unwrap_err();
    let origin = |path: &str| {
        let error = found.iter().find(|error| error.path == path);
        error.unwrap_or_else(|| panic!("{path} is not in\n{found}")).origin.as_deref()
    };
    for path in ["commit.interval", "commit.max_event", "commit.max_bytes"] {
        assert_eq!(origin(path), Some("TRIBUTARY_COMMIT"), "{path}");
    }
    for path in ["stream[1].name", "stream[1].app_key", "stream[1].auth.bearer.env", "stream[1].backoff.min"]
    {
        assert_eq!(origin(path), Some("TRIBUTARY_STREAM__1"), "{path}");
    }
    assert_eq!(origin("stream[2].kind"), Some("--set stream[2]"));
    // What the file lacks is nobody's.
    let found = layered(&[("TRIBUTARY_KAFKA", "{ create_topics = 7 }")], &[]).unwrap_err();
    assert_eq!(
        found.to_string(),
        "kafka.create_topics: expected true or false, found a whole number (from TRIBUTARY_KAFKA)"
    );
}

#[test]
fn a_variable_that_is_no_text_is_refused_by_its_name() {
    let variable =
        |name: &[u8], value: &[u8]| (OsString::from_vec(name.to_vec()), OsString::from_vec(value.to_vec()));
    let sources = Sources::of_variables([
        variable(b"TRIBUTARY_STREAM__0__APP_KEY", b"a\xffb"),
        variable(b"TRIBUTARY_KAFKA__X\xff", b"x"),
        variable(b"TRIBUTARY_CONFIG", b"/\xff"),
        variable(b"OTHER\xff", b"x"),
        variable(b"OTHER", b"\xff"),
        variable(b"TRIBUTARY_LOG", b"debug"),
    ]);
    assert_eq!(sources.env, pairs(&[("TRIBUTARY_LOG", "debug")]));
    let said = "name and value of this environment variable have to be valid UTF-8";
    assert_eq!(
        load(&sources).unwrap_err().to_string(),
        format!("TRIBUTARY_KAFKA__X\u{fffd}: {said}\nTRIBUTARY_STREAM__0__APP_KEY: {said}")
    );
}

#[test]
fn a_file_that_is_absent_or_no_toml_is_named() {
    let absent = Sources { file: Some("/no/such/file.toml".into()), ..Sources::default() };
    let found = load(&absent).unwrap_err().to_string();
    assert!(found.starts_with("/no/such/file.toml: cannot read the configuration: "), "{found}");

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[kafka]\nx = 1\n  password = \"hunter2\n").unwrap();
    let found =
        load(&Sources { file: Some(file.path().to_owned()), ..Sources::default() }).unwrap_err().to_string();
    assert!(found.starts_with(&format!("{}:3:", file.path().display())), "{found}");
    assert!(!found.contains("hunter2"), "{found}");
}
