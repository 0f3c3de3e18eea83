//! Any line is an event or is not, whatever it holds; and what is taken from it is what serde_json reads at the same paths.

use super::json::Json;
use super::{Input, is_json};
use crate::config;
use crate::event::extract::{Config, EventType, ExtractError, Extractor, Id, Key, Line};
use crate::event::paths::{self, Spelling};
use crate::model::numbers::numeral;
use crate::model::types::{EventId, Record};
use crate::model::{offset, packed};

/// Streams of both services, with keys and headers of several kinds.
const STREAMS: &str = r#"
    kafka.bootstrap_servers = "localhost:9092"
    [[stream]]
    name = "first"
    kind = "airship"
    app_key = "k"
    auth.bearer.env = "T"
    [[stream]]
    name = "joined"
    kind = "airship"
    app_key = "k"
    auth.bearer.env = "T"
    key = { fields = ["device.channel", "body.\"a.b\"", "type"], join = "|" }
    headers = [{ name = "a", field = "id" }, { name = "b", field = "device.named_user_id" }, { name = "c", field = "body.x" }]
    drop = [{ field = "body.x", is = ["1", "true"], name = "x" }]
    topic = "t.{type}"
    [[stream]]
    name = "visitor"
    kind = "adobe"
    url = "https://livestream.adobe.net/api/1/stream/x"
    auth.bearer.env = "T"
    [[stream]]
    name = "evars"
    kind = "adobe"
    url = "https://livestream.adobe.net/api/1/stream/y"
    auth.bearer.env = "T"
    key = ["evars.evars.eVar5", "customVisId"]
    headers = [{ name = "a", field = "evars.evars.eVar1" }, { name = "b", field = "geoCity" }]
"#;

thread_local! {
    static EXTRACTORS: Vec<(Config, Extractor)> = {
        let streams = config::parse(STREAMS).unwrap().plan.streams;
        let made = streams.into_iter().map(|stream| (Extractor::new(&stream.extract).unwrap(), stream.extract));
        made.map(|(extractor, config)| (config, extractor)).collect()
    };
}

pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let which = usize::from(input.byte());
    EXTRACTORS.with(|all| {
        let (config, extractor) = &all[which % all.len()];
        check_line(config, extractor, input.rest);
    });
}

fn check_line(config: &Config, extractor: &Extractor, line: &[u8]) {
    let found = extractor.extract(line);
    let is_object = is_json(line) && line.trim_ascii_start().starts_with(b"{");
    if matches!(found, Err(ExtractError::NotAnObject(_))) {
        assert!(!is_object, "no JSON object is refused");
    } else if !is_object {
        // Names are not looked into, so control characters may stand there as they are.
        let plain: Vec<u8> = line.iter().map(|byte| if *byte < b' ' { b' ' } else { *byte }).collect();
        assert!(is_json(&plain) && plain.trim_ascii_start().starts_with(b"{"), "all else is refused");
    }
    let key = extractor.key(line).map(|key| key.to_vec());
    // Broken text, and what is nested deeper than serde_json goes, have nothing to be compared with.
    let (Some(json), true) = (Json::read(line), is_object) else { return };
    let oracle = Oracle { config, json: &json };
    match found {
        Err(ExtractError::NoId { offset }) => {
            assert_eq!(oracle.id(), None);
            assert_eq!(offset.map(|offset| offset.to_vec()), oracle.offset());
        }
        Err(_) => {}
        Ok(Line::PositionOnly(offset)) => {
            assert!(oracle.is_position_only());
            assert_eq!(offset.map(|offset| offset.to_vec()), oracle.offset());
        }
        Ok(Line::Filtered { reason, .. }) => {
            assert!(oracle.id().is_some() && reason < extractor.filter_reasons());
        }
        Ok(Line::Event(record)) => {
            assert_eq!(
                record.key.as_ref().map(|key| key.to_vec()),
                key,
                "the same key wherever it is asked for"
            );
            oracle.check(&record);
        }
    }
}

/// The rules, on what serde_json reads.
struct Oracle<'a> {
    config: &'a Config,
    json: &'a Json,
}

impl Oracle<'_> {
    fn check(&self, record: &Record<'_>) {
        assert!(!self.is_position_only());
        assert_eq!(Some((record.id, record.id_text.to_vec())), self.id());
        let kind = match &self.config.event_type {
            EventType::Field(path) => self.non_empty(path),
            EventType::Constant(name) => Some(name.as_bytes().to_vec()),
        };
        assert_eq!(record.event_type.as_ref().map(|kind| kind.to_vec()), kind);
        assert_eq!(record.offset.as_ref().map(|offset| offset.to_vec()), self.offset());
        match &self.config.key {
            Key::Fields(paths) => {
                let key = paths.iter().find_map(|path| self.non_empty(path));
                assert_eq!(record.key.as_ref().map(|key| key.to_vec()), key);
            }
            Key::Joined { fields, separator } => {
                let values: Vec<_> = fields.iter().map(|path| self.non_empty(path)).collect();
                let key = values.iter().any(Option::is_some).then(|| {
                    values
                        .into_iter()
                        .map(Option::unwrap_or_default)
                        .collect::<Vec<_>>()
                        .join(separator.as_bytes())
                });
                assert_eq!(record.key.as_ref().map(|key| key.to_vec()), key);
            }
            Key::AdobeVisitor => assert!(record.key.is_some(), "the hit's id at last"),
        }
        for (value, path) in record.topic_values.iter().zip(&self.config.topic_fields) {
            assert_eq!(value.as_ref().map(|value| value.to_vec()), self.text(path));
        }
        let headers: Vec<_> = self.config.header_fields.iter().map(|path| self.non_empty(path)).collect();
        let found = record.header_values.as_deref().unwrap_or_default();
        let found: Vec<_> = packed::values(found).map(|value| value.map(<[u8]>::to_vec)).collect();
        assert_eq!(found, headers);
    }

    fn id(&self) -> Option<(EventId, Vec<u8>)> {
        match &self.config.id {
            Id::Field(path) => self.non_empty(path).map(|text| (EventId::from_text(&text), text)),
            Id::Pair { high, low } => {
                let (high, low) = (self.half(high)?, self.half(low)?);
                let text = format!("{high}-{low}").into_bytes();
                ((high, low) != (0, 0)).then(|| (EventId::from_pair(high, low), text))
            }
        }
    }

    fn half(&self, path: &str) -> Option<u64> {
        match self.at(path)? {
            Json::Unsigned(number) => Some(*number),
            Json::Negative(number) => Some(number.cast_unsigned()),
            Json::Text(text) => {
                let text = numeral(text.as_bytes())?;
                text.parse().ok().or_else(|| text.parse::<i64>().ok().map(i64::cast_unsigned))
            }
            _ => None,
        }
    }

    fn is_position_only(&self) -> bool {
        match (&self.config.position_only_type, &self.config.event_type) {
            (Some(name), EventType::Field(path)) => {
                self.text(path).is_some_and(|text| text == name.as_bytes())
            }
            _ => false,
        }
    }

    fn offset(&self) -> Option<Vec<u8>> {
        self.text(self.config.offset.as_ref()?).filter(|text| offset::is_usable(text))
    }

    fn non_empty(&self, path: &str) -> Option<Vec<u8>> {
        self.text(path).filter(|text| !text.is_empty())
    }

    fn text(&self, path: &str) -> Option<Vec<u8>> {
        self.at(path)?.text()
    }

    fn at(&self, path: &str) -> Option<&Json> {
        self.json.at(&paths::parse(path).unwrap(), is_called(self.config.spelling))
    }
}

/// Whether a member of the second name is meant by the first one.
pub(super) fn is_called(spelling: Spelling) -> fn(&str, &str) -> bool {
    if !spelling.ignore_evar_case {
        return |wanted, name| wanted == name;
    }
    |wanted, name| {
        let is_evar = wanted.to_ascii_lowercase().starts_with("evar");
        if is_evar { wanted.eq_ignore_ascii_case(name) } else { wanted == name }
    }
}
