//! All problems at once, each with its path.

use super::{SMALL, errors};

#[test]
fn every_problem_is_reported_at_once() {
    let toml = r#"
deliver = "exactly_once"
delivery = "exactly"
ownership = "group"
session_timeout = "10ms"
instance_id = "a b"
shutdown = 5

[kafka]
transaction_timeout = "30"
create_topics = "yes"
[kafka.properties]
"transactional.id" = "x"
"acks" = 1
"linger.ms" = [5]
"sasl.mechanism" = "OAUTHBEARER"
"sasl.password" = { envv = "X" }

[state]
prefix = "a b"
replication_factor = 0

[commit]
interval = "0s"
max_events = -1
max_bytes = "16 XB"

[admin]
listen = "localhost"

[[stream]]
name = "a/b"
kind = "airship"
url = "http://user:pw@example.com/"
auth = { bearer = "mytoken" }
filters = [{ types = [4, 5, "CLOSE", 6, "open"] }, { devices = [] }, { devices = [{ chanel = "x" }, {}] }, {}]
subset = { sample = 1.5 }
topic = "airship.{type:upper}"
shards = 65
silence = "18446744073709551615s"
backoff = { min = "1m" }
parallel_reads = 3

[[stream]]
kind = "adobe"
max_connections = 9
auth = { ims = { client_secret = { env = "A", file = "b" }, scopes = [] } }

[[stream]]
name = "x"
kind = "airshp"

[[stream]]
name = "a/b"
kind = "airship_compliance"
auth = { bearer = { env = "T" } }
filters = [{ types = ["OPEN"], device_types = ["ios"] }]
topic = "a b.checkpoints"
"#;
    let expected = [
        "admin.listen: expected an address and a port, such as \"127.0.0.1:9464\", \"0.0.0.0:9464\" or \"[::]:9464\"",
        "commit.interval: must be longer than zero",
        "commit.max_bytes: expected a size such as \"16MiB\" or \"64KiB\", or a whole number of bytes",
        "commit.max_events: expected a whole number, 0 or more, found -1",
        "deliver: unknown key; did you mean `delivery`?",
        "delivery: unknown value `exactly`; did you mean `exactly_once`?",
        "instance_id: expected up to 249 letters, digits, `.`, `_` and `-`",
        "kafka.bootstrap_servers: missing: this key is required",
        "kafka.create_topics: expected true or false, found a string",
        "kafka.properties.acks: owned by the connector: no event may be lost, repeated or put out of order, so the connector sets it",
        "kafka.properties.\"linger.ms\": expected a string, a number, true or false, or a secret such as { env = \"NAME\" }, found a list",
        "kafka.properties.\"sasl.mechanism\": OAUTHBEARER needs \"sasl.oauthbearer.method\" = \"oidc\" beside it",
        "kafka.properties.\"sasl.password\".envv: unknown key; did you mean `env`?",
        "kafka.properties.\"transactional.id\": owned by the connector: fencing rests on it: it is <state.prefix>.<stream>.<shard>",
        "kafka.transaction_timeout: expected a duration such as \"100ms\", \"30s\" or \"2h 30m\": time unit needed, for example 30sec or 30ms",
        "session_timeout: must be between 1s and 1h",
        "shutdown: expected a table, found a whole number",
        "state.prefix: expected the beginning of a topic name: letters, digits, `.`, `_` and `-`",
        "state.replication_factor: must be 1 or more",
        "stream[0].auth.bearer: expected a secret: { env = \"NAME\" }, { file = \"PATH\" } or, for tests, { value = \"…\" }, found a string",
        "stream[0].backoff.min: must not be longer than backoff.max",
        "stream[0].filters[0].types[0]: expected a string, found a whole number",
        "stream[0].filters[0].types[1]: expected a string, found a whole number",
        "stream[0].filters[0].types[3]: expected a string, found a whole number",
        "stream[0].filters[0].types[4]: expected an event type in upper case, such as \"OPEN\"",
        "stream[0].filters[1].devices: must not be empty, the service refuses it: leave the key out to mean any",
        "stream[0].filters[2].devices[0].chanel: unknown key; did you mean `channel`?",
        "stream[0].filters[2].devices[1]: expected exactly one of the keys `amazon_channel`, `android_channel`, `channel`, `ios_channel`, `named_user_id`",
        "stream[0].filters[3]: must not be empty: give at least one key",
        "stream[0].name: expected 1 to 100 letters, digits, `_` and `-`",
        "stream[0].parallel_reads: unknown key; known here: …",
        "stream[0].shards: must be from 1 to 64",
        "stream[0].silence: must be at most a year",
        "stream[0].subset.sample: must be from 0 to 1",
        "stream[0].topic: `upper` is no form of a value: known are `lower` and `snake`, as in `{type:snake}`; a template is a topic name such as \"events.{type}\"",
        "stream[0].url: a credential does not belong into the address: use `auth`",
        "stream[1].auth.ims.client_id: missing: this key is required",
        "stream[1].auth.ims.client_secret: expected exactly one of { env = \"NAME\" }, { file = \"PATH\" } and { value = \"…\" }",
        "stream[1].auth.ims.scopes: must not be empty",
        "stream[1].max_connections: must be from 1 to 8",
        "stream[1].name: missing: this key is required",
        "stream[1].url: missing: this key is required",
        "stream[2].kind: unknown kind `airshp`; did you mean `airship`?",
        "stream[3].auth.bearer: the compliance stream takes `basic`, with the app key as user and the master secret as password",
        "stream[3].filters[0].device_types[0]: expected one of `email`, `sms`",
        "stream[3].filters[0].types: the compliance stream's filters take only `device_types` and `latency`",
        "stream[3].name: stream[0] has this name already",
        "stream[3].topic: expected a topic name, in which fields in braces, such as `{type}`, stand for their values: 1 to 249 letters, digits, `.`, `_` and `-`",
    ];
    let found = errors(toml);
    for (found, expected) in found.iter().zip(expected) {
        match expected.strip_suffix('…') {
            Some(beginning) => assert!(found.starts_with(beginning), "{found}"),
            None => assert_eq!(found, expected),
        }
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn an_empty_configuration_says_what_is_needed() {
    let expected = [
        "kafka.bootstrap_servers: missing: this key is required",
        "stream: missing: at least one [[stream]] is needed",
    ];
    assert_eq!(errors(""), expected);
}

#[test]
fn a_single_table_is_no_list_of_streams() {
    let found = errors("kafka.bootstrap_servers = \"a\"\n[stream]\nname = \"x\"");
    assert_eq!(found, ["stream: expected a list of tables: each stream begins with [[stream]]"]);
}

#[test]
fn plain_http_needs_leave_or_loopback() {
    let with = |url: &str, more: &str| errors(&format!("{SMALL}url = \"{url}\"\n{more}"));
    for url in ["http://127.0.0.1:8080/", "http://localhost/", "http://[::1]:1/", "https://example.com"] {
        assert_eq!(with(url, ""), [""; 0], "{url}");
    }
    assert_eq!(with("http://example.com/", "allow_plain_http = true"), [""; 0]);
    for url in ["http://example.com/", "http://localhost.example.com/", "ftp://example.com/", "no address"] {
        let found = with(url, "");
        assert!(found.len() == 1 && found[0].starts_with("stream[0].url: "), "{found:?}");
    }
}

#[test]
fn limits_hold() {
    let one = |key: &str, more: &str| {
        let found = errors(&format!("{more}\n{SMALL}"));
        assert!(found.len() == 1 && found[0].starts_with(&format!("{key}: ")), "{key}: {found:?}");
    };
    one("commit.interval", "commit.interval = \"30s\"");
    one("commit.max_bytes", "commit.max_bytes = \"2GiB\"");
    one("dedupe.max_ids", "dedupe.max_ids = 0");
    one("dedupe.window", "dedupe.window = \"0s\"");
    one("queue.max_bytes", "queue.max_bytes = 0");
    one("http.ca", "http.ca = \"\"");
    one("http.client_key", "http.client_cert = \"cert.pem\"");
    one("http.client_cert", "http.client_key = \"key.pem\"");
    one("http.proxy", "http.proxy = \"socks5://proxy:1080\"");
    one("http.proxy", "http.proxy = \"\"");
    one("http.proxy", "http.proxy = { value = \"http://user:hunter2@\" }");
    one("shutdown.timeout", "shutdown.timeout = \"0s\"");
    let stream = |key: &str, more: &str| {
        let found = errors(&format!("{SMALL}{more}\n"));
        assert!(found.len() == 1 && found[0].starts_with(&format!("stream[0].{key}: ")), "{key}: {found:?}");
    };
    stream("subset", "shards = 2\nsubset = { sample = 0.5 }");
    stream("subset.sample", "subset = {}");
    stream("partitions", "partitions = 0");
    stream("replication_factor", "replication_factor = 0");
    stream("retention", "retention = \"1ns\"");
    stream("max_line", "max_line = \"1GiB\"");
    stream("topic", "topic = \"tributary.ids\"");
    stream("topic", "topic = \"tributary_shards\"");
    stream("topic", "topic = \"tributary.s.intake\"");
    stream("topic", "topic = \"__{type}\"");
    stream("default_topic", "topic = \"airship.{type}\"\ndefault_topic = \"__consumer_offsets\"");
    stream("default_topic", "default_topic = \"airship.other\"");
    stream("topics.OPEN", "topics = { OPEN = \"tributary.checkpoints\" }");
    stream("dead_letter_topic", "dead_letter_topic = \"tributary.ids\"");
    stream("topic", "topic = \"..\"");
    stream("dead_letter_topic", "dead_letter_topic = \"{type}\"");
    stream("topics.OPEN", "topics = { OPEN = \"a b\" }");
    stream("topics.open", "topics = { open = \"a\" }");
    stream("key[1]", "key = [\"a.b\", \"a..b\"]");
    let fields =
        |number: usize| format!("key = {:?}", (0..number).map(|n| format!("body.f{n}")).collect::<Vec<_>>());
    // Five others: id, type, both times and the offset.
    stream("key", &fields(28));
    assert_eq!(errors(&format!("{SMALL}{}\n", fields(27))), [""; 0]);
    let topic = "topic = \"{type}.{body.f0}.{body.other}\"\n";
    stream("key", &format!("{topic}{}", fields(27)));
    assert_eq!(errors(&format!("{SMALL}{topic}{}\n", fields(26))), [""; 0]);
    stream("topic", "topic = \"{a}{b}{c}{d}\"\ntopics = { OPEN = \"a\" }");
    assert_eq!(
        errors(&format!("{SMALL}topic = \"{{a}}{{b}}{{c}}{{type}}\"\ntopics = {{ OPEN = \"a\" }}\n")),
        [""; 0]
    );
    stream("max_topics", "topic = \"{type}\"\nmax_topics = 0");
    stream("max_topics", "max_topics = 7");
    stream("redirect_hosts[0]", "redirect_hosts = [\"https://example.com\"]");
    stream("filters", "filters = []");
    stream("filters[0].latency", "filters = [{ latency = 0 }]");
    stream("silence", "silence = \"0s\"");
    stream("start", "start = 1");
    stream("backoff", "backoff = [\"1s\", \"2s\"]");
}

#[test]
fn headers_that_were_a_switch_are_answered_with_the_new_words() {
    use crate::config::{Sources, load};
    let expected = |was: &str, word: &str| {
        format!(
            "stream[0].headers: `{was}` is no longer known here: write \"{word}\"; known are \"none\" and \"cloudevents\""
        )
    };
    for (was, word) in [("true", "cloudevents"), ("false", "none")] {
        assert_eq!(errors(&format!("{SMALL}headers = {was}")), [expected(was, word)]);
        assert_eq!(errors(&format!("{SMALL}headers = \"{was}\"")), [expected(was, word)]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), SMALL).unwrap();
        let of_variable = load(&Sources {
            file: Some(file.path().to_owned()),
            env: vec![("TRIBUTARY_STREAM__0__HEADERS".into(), was.into())],
            ..Sources::default()
        });
        let found = of_variable.unwrap_err().to_string();
        assert!(
            found.starts_with(&expected(was, word)) && found.contains("TRIBUTARY_STREAM__0__HEADERS"),
            "{found}"
        );
    }
    assert_eq!(
        errors(&format!("{SMALL}headers = \"cloudevent\"")),
        ["stream[0].headers: unknown value `cloudevent`; did you mean `cloudevents`?"]
    );
    assert_eq!(
        errors(&format!("{SMALL}headers = 7")),
        ["stream[0].headers: expected \"none\", \"cloudevents\" or a list of headers, found a whole number"]
    );
    for word in ["none", "cloudevents"] {
        assert_eq!(errors(&format!("{SMALL}headers = \"{word}\"")), [""; 0]);
    }
}

#[test]
fn what_librdkafka_refuses_is_refused() {
    let properties = |lines: &str| {
        errors(&SMALL.replace("\n[[stream]]", &format!("[kafka.properties]\n{lines}\n[[stream]]")))
    };
    let one = |line: &str, name: &str, part: &str| {
        let found = properties(line);
        let right = found.len() == 1
            && found[0].starts_with(&format!("kafka.properties.\"{name}\": "))
            && found[0].contains(part);
        assert!(right, "{line}: {found:?}");
    };
    one("\"sasl.mechansim\" = \"PLAIN\"", "sasl.mechansim", "no property of this name");
    one("\"sasl.pasword\" = { env = \"P\" }", "sasl.pasword", "no property of this name");
    one("\"compression.type\" = \"lz5\"", "compression.type", "no such value");
    one("\"security.protocol\" = \"SSLL\"", "security.protocol", "no such value");
    one("\"linger.ms\" = \"soon\"", "linger.ms", "no such value");
    one("\"socket.keepalive.enable\" = 7", "socket.keepalive.enable", "no such value");
    let oidc = "\"sasl.mechanism\" = \"OAUTHBEARER\"\n\"sasl.oauthbearer.method\" = \"oidc\"";
    let found = properties(oidc);
    assert_eq!(found.len(), 3, "{found:?}");
    for name in ["client.id", "client.secret", "token.endpoint.url"] {
        let start = format!("kafka.properties.\"sasl.oauthbearer.{name}\": missing: ");
        assert!(found.iter().any(|error| error.starts_with(&start)), "{name}: {found:?}");
    }
    let whole = "\"sasl.oauthbearer.client.id\" = \"c\"\n\"sasl.oauthbearer.client.secret\" = { env = \"S\" }\n\"sasl.oauthbearer.token.endpoint.url\" = \"https://idp/\"";
    assert_eq!(properties(&format!("{oidc}\n{whole}")), [""; 0]);
    for (endpoint, wrong) in [
        ("http://idp/token", Some("plain http")),
        ("http://127.0.0.1:8080/token", None),
        ("http://[::1]/token", None),
        ("http://localhost/token", None),
        ("idp/token", Some("expected an address")),
        ("ftp://idp/", Some("plain http")),
        ("https://me:secret@idp/", Some("a credential does not belong")),
    ] {
        let found = properties(&format!("{oidc}\n{}", whole.replace("https://idp/", endpoint)));
        assert_eq!(found.len(), usize::from(wrong.is_some()), "{endpoint}: {found:?}");
        assert!(wrong.is_none_or(|wrong| found[0].contains(wrong)), "{endpoint}: {found:?}");
        assert!(!found.iter().any(|line| line.contains("secret@")), "{found:?}");
    }
    let sound = "\"linger.ms\" = 5\n\"socket.keepalive.enable\" = true\n\"debug\" = \"broker,security\"\n\"sasl.password\" = \"hunter2\"";
    assert_eq!(properties(sound), [""; 0]);
}

#[test]
fn names_that_kafka_takes_for_one_are_refused_across_streams() {
    let error = |key: &str, name: &str, other: &str, is: &str| {
        format!(
            "{key}: {name:?} and {other:?} ({is}) cannot both be topics: Kafka takes `.` and `_` for the same; choose \
             another name, or the same for both"
        )
    };
    let second = r#"
[[stream]]
name = "t"
kind = "adobe"
url = "https://livestream.adobe.net/api/1/stream/x"
auth = { bearer = { env = "T" } }
"#;
    let found = errors(&format!("{SMALL}topic = \"a.b\"\n{second}topic = \"a_b\"\n"));
    assert_eq!(found, [error("stream[1].topic", "a_b", "a.b", "stream[0].topic")]);
    let within = "topic = \"x.{type}\"\ndefault_topic = \"a.b\"\ntopics = { OPEN = \"a_b\" }\ndead_letter_topic = \"a.b\"\n";
    let found = errors(&format!("{SMALL}{within}"));
    assert_eq!(found, [error("stream[0].topics.OPEN", "a_b", "a.b", "stream[0].default_topic")]);
    let dead_letters = errors(&format!("{SMALL}dead_letter_topic = \"a_b.c\"\n{second}topic = \"a.b.c\"\n"));
    assert_eq!(dead_letters, [error("stream[1].topic", "a.b.c", "a_b.c", "stream[0].dead_letter_topic")]);
    let same =
        errors(&format!("{SMALL}topic = \"a.b\"\n{second}topic = \"a.b\"\ndead_letter_topic = \"a.b\"\n"));
    assert_eq!(same, [""; 0], "streams may share a topic");
    let templates =
        errors(&format!("{SMALL}topic = \"a.{{type}}\"\n{second}topic = \"a_{{reportSuite}}\"\n"));
    assert_eq!(templates, [""; 0], "what they make is not known");
    let third = SMALL.split_once("[[stream]]").unwrap().1.replace("\"s\"", "\"t\"");
    let templates = |one: &str, other: &str| {
        errors(&format!("{SMALL}topic = \"{one}\"\n[[stream]]{third}topic = \"{other}\"\n"))
    };
    let found = templates("a.{type}.{body.x:lower}", "a_{type}_{body.x:lower}");
    assert_eq!(
        found,
        [
            "stream[1].topic: \"a_{type}_{body.x:lower}\" and \"a.{type}.{body.x:lower}\" (stream[0].topic) make names of the same \
          values that cannot both be topics: Kafka takes `.` and `_` for the same; choose another name, or the same for both"
        ]
    );
    assert_eq!(templates("a.{type}", "a.{type}"), [""; 0], "streams may share a template");
    assert_eq!(templates("a.{type}", "a_{type:snake}"), [""; 0], "OPEN and open are two names");
}

#[test]
fn a_credential_in_the_brokers_address_is_refused_and_not_shown() {
    for address in
        ["user:hunter2@kafka:9092", "kafka:9092,user:hunter2@other", "SASL_SSL://user:hunter2@kafka:9092"]
    {
        let found = errors(&format!(
            r#"
            kafka = {{ bootstrap_servers = "{address}" }}
            stream = [{{ name = "s", kind = "airship", app_key = "app", auth = {{ bearer = {{ env = "TOKEN" }} }} }}]
            "#
        ));
        let said = "kafka.bootstrap_servers: a credential does not belong into the address: use kafka.properties with \
                    \"sasl.username\" and \"sasl.password\"";
        assert_eq!(found, [said]);
    }
}
