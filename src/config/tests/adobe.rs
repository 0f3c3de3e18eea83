//! Streams of kind `adobe`.

use std::time::Duration;

use super::{DESIGN, errors, parse};
use crate::event::extract::{Condition, EventType, Filters, Id, Key, Rule};
use crate::event::route::Timestamp;
use crate::model::secret::SecretSource;
use crate::model::types::OnUnclean;
use crate::plan::Stream;
use crate::sink::kafka::config::EventHeaders;
use crate::source::Service;
use crate::source::adobe::Config;
use crate::source::http::auth::{Credential, Grant, GrantScheme};

const URL: &str = "https://livestream.adobe.net/api/1/stream/adobe-livestream-acme";
const BEARER: &str = "{ bearer = { env = \"T\" } }";

/// A configuration of one stream with these keys beside name and kind.
fn with(url: &str, auth: &str, more: &str) -> String {
    format!(
        "kafka.bootstrap_servers = \"k\"\n[[stream]]\nname = \"web\"\nkind = \"adobe\"\nurl = \"{url}\"\nauth = {auth}\n{more}\n"
    )
}

fn stream(toml: &str) -> Stream {
    parse(toml).unwrap().plan.streams.pop().unwrap()
}

fn service(stream: &Stream) -> &Config {
    match &stream.service().unwrap().service {
        Service::Adobe(service) => service,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_design_example_says_what_it_says() {
    let stream = stream(DESIGN);
    assert_eq!((&**stream.name(), &*stream.source_id.kind, stream.shards), ("web", "adobe", 1));
    assert_eq!(
        stream.service().unwrap().endpoint.auth,
        Credential::Grant(Grant {
            scheme: GrantScheme::Ims,
            token_url: "https://ims-na1.adobelogin.com/ims/token/v3".parse().unwrap(),
            client_id: "…".into(),
            client_secret: SecretSource::Env("ADOBE_SECRET".into()),
            scopes: vec!["openid".into(), "AdobeID".into()],
        })
    );
    assert_eq!(
        service(&stream),
        &Config {
            api_key: Some("…".into()),
            max_connections: 2,
            smoothing: None,
            reconnect_pause: Duration::from_secs(60),
            on_unclean: OnUnclean::Continue,
            replay_interval: Duration::from_secs(600),
            reset: None,
        }
    );
    assert_eq!(stream.service().unwrap().endpoint.redirect_hosts, ["livestream.adobe.net"]);
    assert_eq!(stream.dead_letter_topic, "tributary.dead-letters");
}

#[test]
fn defaults_are_those_of_hits() {
    let stream = stream(&with(&format!("{URL}?beta=true"), BEARER, ""));
    assert_eq!(stream.service().unwrap().endpoint.url.query(), Some("beta=true"));
    assert_eq!(stream.service().unwrap().endpoint.auth, Credential::Bearer(SecretSource::Env("T".into())));
    assert_eq!(service(&stream).api_key, None);
    assert_eq!((service(&stream).max_connections, service(&stream).smoothing), (1, None));
    assert_eq!(stream.service().unwrap().endpoint.silence, Duration::from_secs(90));
    assert_eq!((stream.route.topic.as_str(), stream.route.timestamp), ("adobe.hits", Timestamp::Processed));
    assert_eq!(stream.headers, EventHeaders::None);
    let record = &stream.extract;
    assert_eq!(record.id, Id::Pair { high: "hitIdHigh".into(), low: "hitIdLow".into() });
    assert_eq!(record.key, Key::AdobeVisitor);
    assert_eq!(record.event_type, EventType::Constant("com.adobe.analytics.hit"));
    assert_eq!((&*record.topic_fields, &record.offset), (&[][..], &None));
    assert_eq!((&*record.processed, &*record.occurred), ("receivedTimeGMT", "timeGMT"));
    assert!(record.spelling.ignore_evar_case && record.filters == Filters::default());
}

#[test]
fn every_key_arrives() {
    let auth = "{ oauth2 = { token_url = \"https://idp.example.com/token\", client_id = \"me\", client_secret = { file = \"/s\" }, scope = \"a b\" } }";
    let more = r#"
        api_key = "key"
        max_connections = 8
        smoothing = true
        smoothing_bucket_size = 600
        on_unclean = "replay"
        replay_interval = "20m"
        reconnect_pause = "2s"
        topic = "adobe.{evars.evars.eVar5}.x.{reportSuite:snake}"
        topics = { gold = "golden" }
        default_topic = "others"
        max_topics = 70
        timestamp = "occurred"
        headers = "cloudevents"
        key = ["evars.evars.eVar1", "ip"]
        drop = ["bot", "excluded", { name = "probes", field = "pageName", is = ["probe", "7"] }]
        only = [{ field = "reportSuite", is = ["a"] }, "excluded"]
        partitions = 6
        replication_factor = 2
        retention = "1day"
        dead_letter_topic = "dead"
        silence = "1m"
        connect_timeout = "3s"
        max_line = "1MiB"
        redirect_hosts = ["a.example.com"]
    "#;
    let stream = stream(&with(URL, auth, more));
    let Credential::Grant(grant) = &stream.service().unwrap().endpoint.auth else { panic!("{stream:?}") };
    assert_eq!(
        (grant.scheme, &*grant.client_id, &*grant.scopes),
        (GrantScheme::Basic, "me", &["a b".to_owned()][..])
    );
    assert_eq!(grant.client_secret, SecretSource::File("/s".into()));
    assert_eq!(
        service(&stream),
        &Config {
            api_key: Some("key".into()),
            max_connections: 8,
            smoothing: Some(Some(600)),
            reconnect_pause: Duration::from_secs(2),
            on_unclean: OnUnclean::Replay,
            replay_interval: Duration::from_secs(1200),
            reset: None,
        }
    );
    assert_eq!(stream.extract.topic_fields, ["evars.evars.eVar5", "reportSuite"]);
    assert_eq!(stream.route.fields(), stream.extract.topic_fields);
    assert_eq!((stream.route.by.as_deref(), stream.route.max_topics), (Some("evars.evars.eVar5"), 70));
    assert_eq!(stream.extract.key, Key::Fields(vec!["evars.evars.eVar1".into(), "ip".into()]));
    let when = |field: &str, values: &[&str], ignore_case| Condition {
        field: field.into(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        ignore_case,
    };
    let excluded = || when("exclude.value", &["yes"], true);
    let rule = |name: &str, when| Rule { name: name.into(), when };
    let drop = [
        rule("bot", when("bot", &["<Bot>"], true)),
        rule("excluded", excluded()),
        rule("probes", when("pageName", &["probe", "7"], false)),
    ];
    assert_eq!(stream.extract.filters.drop, drop);
    assert_eq!(stream.extract.filters.only, [when("reportSuite", &["a"], false), excluded()]);
    let reasons = stream.extract.filters.reasons();
    assert_eq!(
        reasons.iter().map(|reason| &**reason).collect::<Vec<_>>(),
        ["bot", "excluded", "probes", "only"]
    );
    assert_eq!(stream.route.topics["gold"], "golden");
    assert_eq!(
        (stream.route.default_topic.as_deref(), stream.route.timestamp),
        (Some("others"), Timestamp::Occurred)
    );
    assert_eq!((stream.topic_spec.partitions, stream.topic_spec.replication_factor), (Some(6), Some(2)));
    assert_eq!(stream.service().unwrap().endpoint.redirect_hosts, ["a.example.com"]);
    assert_eq!(
        (&*stream.dead_letter_topic, stream.headers.clone(), stream.service().unwrap().max_line),
        ("dead", EventHeaders::CloudEvents, 1 << 20)
    );
}

#[test]
fn smoothing_may_leave_the_bucket_to_the_service() {
    assert_eq!(service(&stream(&with(URL, BEARER, "smoothing = true"))).smoothing, Some(None));
}

#[test]
fn a_loopback_address_redirects_to_itself() {
    for (url, host) in [
        ("http://127.0.0.1:8080/s", "127.0.0.1"),
        ("http://[::1]:1/s", "[::1]"),
        ("https://localhost/s", "localhost"),
    ] {
        assert_eq!(stream(&with(url, BEARER, "")).service().unwrap().endpoint.redirect_hosts, [host]);
    }
    assert_eq!(
        stream(&with("https://sjo.livestream.adobe.net/s", BEARER, ""))
            .service()
            .unwrap()
            .endpoint
            .redirect_hosts,
        ["livestream.adobe.net"]
    );
}

#[test]
fn what_is_wrong_is_named() {
    let one = |toml: &str, key: &str, part: &str| {
        let found = errors(toml);
        let right = found.len() == 1
            && found[0].starts_with(&format!("stream[0].{key}: "))
            && found[0].contains(part);
        assert!(right, "{key}, {part}: {found:#?}");
    };
    let key = |more: &str, key: &str, part: &str| one(&with(URL, BEARER, more), key, part);
    key("max_connections = 0", "max_connections", "from 1 to 8");
    key("smoothing_bucket_size = 60", "smoothing_bucket_size", "smoothing = true");
    key("smoothing = true\nsmoothing_bucket_size = 7201", "smoothing_bucket_size", "from 1 to 7200");
    key("reconnect_pause = \"0s\"", "reconnect_pause", "longer than zero");
    key("on_unclean = \"replay\"\nreplay_interval = \"30m\"", "replay_interval", "dedupe.window");
    key("api_key = \"a b\"", "api_key", "visible ASCII");
    key("topic = \"adobe.{type}\"", "topic", "hits have no type");
    key("topic = \"adobe.{a}.{type:lower}\"", "topic", "hits have no type");
    key("topic = \"adobe.{a\"", "topic", "`{` without its `}`");
    key("topic = \"adobe.a}\"", "topic", "a topic name");
    key("topic = \"adobe.{a:upper}\"", "topic", "`lower` and `snake`");
    key("topic = \"{a}{b}{c}{d}{e}\"", "topic", "too many fields");
    key("topic = \"{a}{b}{c}{d:lower}{d}\"\nmax_topics = 0", "max_topics", "from 1 to 100000");
    key("max_topics = 7", "max_topics", "no effect");
    key("topic = \"adobe.{}\"", "topic", "member names");
    key("topic = \"adobe.{a..b}\"", "topic", "member names");
    key("topic = \"a b.{reportSuite}\"", "topic", "a topic name");
    key("topic = \"tributary.ids\"", "topic", "state");
    key("topics = { a = \"b\" }", "topics", "no effect");
    key("topic = \"{reportSuite}\"\ntopics = { a = \"b c\" }", "topics.a", "a topic name");
    key("topic = \"{reportSuite}\"\ndefault_topic = \"{x}\"", "default_topic", "a topic name");
    key("default_topic = \"other\"", "default_topic", "no effect");
    key("key = [\"ip\", \".a\"]", "key[1]", "eVar5");
    let many: Vec<String> = (0..40).map(|n| format!("f{n}")).collect();
    key(&format!("key = {many:?}"), "key", "at most 32 can be taken");
    key("drop = [\"bots\"]", "drop[0]", "did you mean `bot`?");
    key("only = [\"SEND\"]", "only[0]", "known here: `bot`, `excluded`");
    key("max_conections = 2", "max_conections", "did you mean `max_connections`?");
    key("shards = 2", "shards", "unknown key");
    key("redirect_hosts = [\"*.adobe.net\"]", "redirect_hosts[0]", "host name");
    for (query, part) in [
        ("reset=smallest", "run --reset"),
        ("maxConnections=2", "`max_connections`"),
        ("smoothing=1", "`smoothing = true`"),
        ("smoothingBucketSize=5", "`smoothing_bucket_size`"),
    ] {
        one(&with(&format!("{URL}?beta=true&{query}"), BEARER, ""), "url", part);
    }
    one(&with("http://livestream.adobe.net/", BEARER, ""), "url", "plain http");
    for auth in [
        "{}",
        "{ bearer = { env = \"T\" }, ims = { client_id = \"a\", client_secret = { env = \"S\" }, scopes = [\"a\"] } }",
    ] {
        one(&with(URL, auth, ""), "auth", "exactly one");
    }
    let secret = "client_id = \"a\", client_secret = { env = \"S\" }";
    one(
        &with(URL, &format!("{{ ims = {{ {secret}, scopes = [\"a,b\"] }} }}"), ""),
        "auth.ims.scopes[0]",
        "one scope",
    );
    one(&with(URL, &format!("{{ oauth2 = {{ {secret} }} }}"), ""), "auth.oauth2.token_url", "missing");
    let plain = format!("{{ oauth2 = {{ {secret}, token_url = \"http://idp.example.com\" }} }}");
    one(&with(URL, &plain, ""), "auth.oauth2.token_url", "plain http");
}

#[test]
fn plain_http_is_pointed_out() {
    let config = parse(&with("http://livestream.adobe.net/", BEARER, "allow_plain_http = true")).unwrap();
    assert_eq!(config.warnings(), ["stream[0].allow_plain_http: the credential may be sent unencrypted"]);
}
