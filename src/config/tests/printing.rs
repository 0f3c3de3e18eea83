//! What is printed hides secrets and loads again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::{DESIGN, EXAMPLE, SMALL, errors, parse, schema};
use crate::config::errors::Errors;
use crate::config::layers::Layers;
use crate::config::raw::{Kafka, Raw};
use crate::config::secret::{Property, SecretKeys};
use crate::config::stream::adobe::{Adobe, AdobeAuth, Ims, OAuth2, OnUnclean};
use crate::config::stream::airship::{Airship, Auth, Backoff, Basic, Start, Subset};
use crate::config::stream::common::Common;
use crate::config::stream::filters::{Device, Filter};
use crate::config::stream::headers::Headers;
use crate::config::stream::key::{Joined, Key};
use crate::config::stream::redact::{Action, Form, Redact};
use crate::config::stream::rules::{Entry, FieldIs};
use crate::config::stream::{Keys, Stream};
use crate::config::units::{Latency, Size, Span};
use crate::config::{FilePath, read_raw, render};

const PLANTED: &str = "hunter2";

#[test]
fn secrets_are_nowhere_to_be_seen() {
    let toml = r#"
        [kafka]
        bootstrap_servers = "k:9092"
        [kafka.properties]
        "sasl.username" = "me"
        "sasl.password" = "hunter2"
        "ssl.key.pem" = { value = "hunter2" }
        "sasl.oauthbearer.config" = "principal=hunter2"
        [http]
        proxy = "http://user:hunter2@proxy:3128"
        [[stream]]
        name = "a"
        kind = "airship"
        app_key = "k"
        auth = { bearer = { value = "hunter2" } }
        [[stream]]
        name = "b"
        kind = "airship_compliance"
        auth = { basic = { user = "k", password = { file = "/run/secrets/b" } } }
        [[stream]]
        name = "c"
        kind = "adobe"
        url = "https://livestream.adobe.net/api/1/stream/c"
        auth = { ims = { client_id = "i", client_secret = { value = "hunter2" }, scopes = ["openid"] } }
        [[stream]]
        name = "d"
        kind = "adobe"
        url = "https://livestream.adobe.net/api/1/stream/d"
        auth = { oauth2 = { token_url = "https://t/", client_id = "i", client_secret = { value = "hunter2" } } }
        [[stream]]
        name = "e"
        kind = "adobe"
        url = "https://livestream.adobe.net/api/1/stream/e"
        auth = { bearer = { value = "hunter2" } }
    "#;
    let config = parse(toml).unwrap();
    let printed = format!("{}\n{config:?}\n{config:#?}\n{:?}", config.render(), config.warnings());
    assert!(!printed.contains(PLANTED), "{printed}");
    for shown in [
        "\"sasl.password\" = { value = \"<hidden>\" }",
        "file = \"/run/secrets/b\"",
        "\"sasl.username\" = \"me\"",
    ] {
        assert!(config.render().contains(shown), "{}", config.render());
    }
    assert_eq!(config.warnings().len(), 8, "{:#?}", config.warnings());
    // What was hidden loads as the word for hidden, and so prints the same.
    assert_eq!(parse(&config.render()).unwrap().render(), config.render());
}

#[test]
fn errors_do_not_repeat_secrets() {
    for auth in [
        "\"hunter2\"",
        "{ bearer = \"hunter2\" }",
        "{ bearer = [\"hunter2\"] }",
        "{ bearer = { value = [\"hunter2\"] } }",
        "{ bearer = { value = 42424242 } }",
        "{ bearer = { env = \"X\", value = \"hunter2\" } }",
        "{ basic = \"hunter2\" }",
        "{ basic = { user = \"hunter2:hunter2\", password = \"hunter2\" } }",
    ] {
        let head = "[kafka]\nbootstrap_servers = \"k\"\nproperties = { \"acks\" = \"hunter2\", \"sasl.password\" = [\"hunter2\"] }";
        let stream =
            "[[stream]]\nname = \"a\"\nkind = \"airship\"\nurl = \"https://u:hunter2@h/\"\napp_key = \"k\"";
        let found = errors(&format!("{head}\n{stream}\nauth = {auth}")).join("\n");
        assert!(found.contains("stream[0].auth"), "{found}");
        assert!(!found.contains(PLANTED) && !found.contains("42424242"), "{found}");
    }
}

#[test]
fn what_is_printed_loads_again() {
    for toml in [EXAMPLE, DESIGN] {
        let config = parse(toml).unwrap();
        let again = parse(&config.render()).unwrap();
        assert_eq!(config.effective, again.effective);
    }
}

#[test]
fn the_schema_lists_keys_and_refuses_others() {
    let schema = schema();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], serde_json::json!(["kafka", "stream"]));
    let kinds = schema["$defs"]["Stream"]["oneOf"].as_array().unwrap();
    for kind in kinds {
        assert_eq!(kind["additionalProperties"], false, "{kind:#}");
        let required = kind["required"].as_array().unwrap();
        // A webhook may do without a credential, and has to say where it is.
        let third = if kind["properties"]["path"].is_object() { "path" } else { "auth" };
        for key in ["kind", "name", third] {
            assert!(required.contains(&key.into()), "{kind:#}");
        }
        assert!(kind["properties"]["max_line"]["description"].is_string());
    }
    assert_eq!(kinds.len(), 4);
    assert_eq!(schema["$defs"]["Kafka"]["properties"]["transaction_timeout"]["default"], "30s");
    assert!(!schema.to_string().contains("null\""), "TOML has no null");
}

/// An editor that reads the schema must allow the names that the program takes, and no other.
#[test]
fn schema_and_program_agree_on_the_names_of_streams() {
    let schema = schema();
    let taken = |name: &str| {
        let toml = SMALL.replace("name = \"s\"", &format!("name = {}", toml::Value::from(name)));
        !errors(&toml).iter().any(|error| error.starts_with("stream[0].name: "))
    };
    for kind in schema["$defs"]["Stream"]["oneOf"].as_array().unwrap() {
        let name = &kind["properties"]["name"];
        let pattern = name["pattern"].as_str().unwrap();
        let class = pattern.strip_prefix("^[").and_then(|rest| rest.strip_suffix("]+$")).unwrap();
        let mut legal = BTreeSet::new();
        let mut rest: Vec<char> = class.chars().collect();
        while let Some(first) = rest.first().copied() {
            let last = if rest.len() > 2 && rest[1] == '-' { rest[2] } else { first };
            rest.drain(..if last == first { 1 } else { 3 });
            legal.extend(first..=last);
        }
        for c in ('\0'..='\u{17f}').chain(['/', '\u{2028}', '名']) {
            assert_eq!(taken(&format!("a{c}")), legal.contains(&c), "{c:?} and {pattern}");
        }
        let bounds = [&name["minLength"], &name["maxLength"]].map(|bound| bound.as_u64().unwrap() as usize);
        for length in [0, 1, 2, 99, 100, 101, 102] {
            let fits = (bounds[0]..=bounds[1]).contains(&length);
            assert_eq!(taken(&"n".repeat(length)), fits, "{length} characters and {bounds:?}");
        }
    }
}

fn span() -> impl Strategy<Value = Span> {
    (0..4_000_000_000u64, 0..1_000_000_000u32)
        .prop_map(|(seconds, nanos)| Span(Duration::new(seconds, nanos)))
}

fn keys() -> impl Strategy<Value = SecretKeys> {
    prop_oneof![
        any::<String>().prop_map(|env| SecretKeys { env: Some(env), ..SecretKeys::default() }),
        any::<String>().prop_map(|file| SecretKeys { file: Some(file.into()), ..SecretKeys::default() }),
    ]
}

fn property() -> impl Strategy<Value = Property> {
    prop_oneof![
        any::<String>().prop_map(Property::Text),
        any::<bool>().prop_map(Property::Bool),
        any::<i64>().prop_map(Property::Integer),
        (-1e300..1e300f64).prop_map(Property::Float),
        keys().prop_map(Property::Secret),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    let types = proptest::option::of(proptest::collection::vec(any::<String>(), 0..3));
    let device = any::<Option<String>>().prop_map(|channel| Device { channel, ..Device::default() });
    let devices = proptest::option::of(proptest::collection::vec(device, 0..3));
    let members = proptest::collection::btree_map(any::<String>(), any::<i64>(), 0..3);
    (types, devices, proptest::option::of(span()), proptest::option::of(members)).prop_map(
        |(types, devices, latency, members)| Filter {
            types,
            devices,
            latency: latency.map(|span| Latency(span.0)),
            predicates: members.map(|members| {
                vec![members.into_iter().map(|(name, number)| (name, number.into())).collect()]
            }),
            ..Filter::default()
        },
    )
}

fn airship() -> impl Strategy<Value = Keys<Airship>> {
    let texts = proptest::collection::vec(any::<String>(), 0..3);
    let topics = proptest::collection::btree_map(any::<String>(), any::<String>(), 0..3);
    let auth = prop_oneof![
        keys().prop_map(|bearer| Auth { bearer: Some(bearer), basic: None }),
        (any::<Option<String>>(), keys()).prop_map(|(user, password)| Auth {
            bearer: None,
            basic: Some(Basic { user, password: Some(password) })
        }),
    ];
    let some = (any::<[Option<String>; 4]>(), any::<Option<i32>>(), any::<u32>(), any::<bool>());
    let redact = (any::<Option<String>>(), proptest::option::of(keys())).prop_map(|(path, secret)| Redact {
        path,
        action: secret.as_ref().map(|_| Action::Hash),
        secret,
    });
    let redact = proptest::collection::vec(redact, 0..3);
    let filters = proptest::option::of(proptest::collection::vec(filter(), 0..3));
    let subset = proptest::option::of((0.0..1.0f64).prop_map(|sample| Subset { sample: Some(sample) }));
    (some, (texts, redact), topics, auth, filters, subset, span(), span()).prop_map(
        |(
            ([name, url, app_key, topic], partitions, shards, flag),
            (key, redact),
            topics,
            auth,
            filters,
            subset,
            min,
            max,
        )| Keys {
            common: Common {
                name,
                url,
                partitions,
                allow_plain_http: flag,
                headers: if flag { Headers::Cloudevents } else { Headers::None },
                redirect_hosts: flag.then(|| key.clone()),
                key: flag.then_some(Key::First(key)),
                redact,
                key_from: if flag { Form::Received } else { Form::Redacted },
                topics,
                retention: Some(min),
                ..Common::default()
            },
            own: Airship {
                app_key,
                topic,
                shards,
                start: if flag { Start::Earliest } else { Start::Latest },
                auth: Some(auth),
                filters,
                subset,
                backoff: Backoff { min, max },
                ..Airship::default()
            },
        },
    )
}

fn adobe() -> impl Strategy<Value = Keys<Adobe>> {
    let texts = proptest::collection::vec(any::<String>(), 0..3);
    let topics = proptest::collection::btree_map(any::<String>(), any::<String>(), 0..3);
    let ims = (any::<Option<String>>(), keys(), texts.clone(), any::<String>()).prop_map(
        |(client_id, secret, scopes, token_url)| AdobeAuth {
            ims: Some(Ims { client_id, client_secret: Some(secret), scopes: Some(scopes), token_url }),
            ..AdobeAuth::default()
        },
    );
    let oauth2 =
        (any::<[Option<String>; 3]>(), keys()).prop_map(|([token_url, client_id, scope], secret)| {
            let oauth2 = OAuth2 { token_url, client_id, client_secret: Some(secret), scope };
            AdobeAuth { oauth2: Some(oauth2), ..AdobeAuth::default() }
        });
    let bearer = keys().prop_map(|token| AdobeAuth { bearer: Some(token), ..AdobeAuth::default() });
    let auth = prop_oneof![ims, oauth2, bearer];
    let some = (any::<[Option<String>; 4]>(), any::<String>(), any::<Option<u32>>(), any::<bool>());
    (some, texts, topics, auth, span(), span()).prop_map(
        |(([name, url, api_key, default_topic], topic, bucket, flag), key, topics, auth, pause, interval)| {
            let common = Common {
                name,
                url,
                topics,
                default_topic,
                drop: key.iter().cloned().map(Entry::Word).collect(),
                only: vec![Entry::Field(FieldIs {
                    field: key.first().cloned(),
                    is: Some(key.clone()),
                    name: None,
                })],
                redirect_hosts: flag.then(|| key.clone()),
                key: (!flag).then_some(Key::Joined(Joined { fields: Some(key), join: Some("|".into()) })),
                ..Common::default()
            };
            let own = Adobe {
                api_key,
                topic,
                auth: Some(auth),
                smoothing: flag,
                smoothing_bucket_size: bucket,
                on_unclean: if flag { OnUnclean::Replay } else { OnUnclean::Continue },
                reconnect_pause: pause,
                replay_interval: interval,
                ..Adobe::default()
            };
            Keys { common, own }
        },
    )
}

fn raw() -> impl Strategy<Value = Raw> {
    let properties = proptest::collection::btree_map(any::<String>(), property(), 0..4);
    let kafka = (any::<Option<String>>(), properties).prop_map(
        |(bootstrap_servers, properties): (_, BTreeMap<_, _>)| Kafka {
            bootstrap_servers,
            properties,
            ..Kafka::default()
        },
    );
    let stream = prop_oneof![
        airship().prop_map(|stream| Stream::Airship(Box::new(stream))),
        airship().prop_map(|stream| Stream::AirshipCompliance(Box::new(stream))),
        adobe().prop_map(|stream| Stream::Adobe(Box::new(stream))),
    ];
    (kafka, proptest::collection::vec(stream, 0..3), any::<String>(), 0..=i64::MAX as u64).prop_map(
        |(kafka, stream, prefix, bytes)| {
            let mut raw = Raw { kafka, stream, ..Raw::default() };
            raw.state.prefix = prefix;
            raw.commit.max_bytes = Size(bytes);
            raw
        },
    )
}

proptest! {
    #[test]
    fn any_configuration_survives_being_printed(raw in raw()) {
        let text = render::toml(&raw).unwrap();
        let mut errors = Errors::default();
        let layers = Layers::merge(Some((FilePath::new("printed"), &text)), &[], &[], &mut errors)
            .map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        let (again, _) = read_raw(&layers, &mut errors);
        prop_assert!(errors.finish(Some(()), |_| None).is_ok(), "{text}");
        prop_assert_eq!(again, raw, "{}", text);
    }
}
