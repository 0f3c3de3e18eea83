//! The layers below one another: the file, `TRIBUTARY_*` variables, flags. (The defaults are those of the
//! types.)
//!
//! figment merges tables but replaces lists, so `stream` travels as a table keyed by index: that way
//! `TRIBUTARY_STREAM__0__URL` changes one key of one stream.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path as FilePath;

use figment::value::{Dict, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use super::errors::{ConfigErrors, Errors, Path, Segment};
use super::read::Texts;

/// How our variables begin.
const PREFIX: &str = "TRIBUTARY_";
/// Variables of ours that are no configuration keys.
const RESERVED: [&str; 2] = ["CONFIG", "LOG"];
/// Variables of tests that are no configuration keys.
const RESERVED_PREFIXES: [&str; 2] = ["TEST_", "FAILPOINT"];

/// All layers, merged.
pub(super) struct Layers {
    figment: Figment,
    merged: Value,
    /// What variables and flags said, as text.
    pub(super) texts: Texts,
    /// The variable or flag that gave a whole table.
    tables: BTreeMap<Path, String>,
}

/// One layer.
struct Layer {
    metadata: Metadata,
    dict: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.dict.clone())]))
    }
}

impl Layers {
    /// Merges the text of a file, variables and flags. Only a text that is no TOML ends it at once.
    pub(super) fn merge(
        file: Option<(&FilePath, &str)>,
        env: &[(String, String)],
        overrides: &[(String, String)],
        errors: &mut Errors,
    ) -> Result<Self, ConfigErrors> {
        let mut figment = Figment::new();
        let (mut texts, mut tables) = (Texts::new(), BTreeMap::new());
        let mut secrets = BTreeSet::new();
        if let Some((path, text)) = file {
            let table = parse(path, text)?;
            table.iter().for_each(|(key, value)| secret_variables(key, value, &mut secrets));
            let dict = table.into_iter().map(|(key, value)| (key, convert(value))).collect();
            let metadata = Metadata::named("file").source(Source::File(path.to_owned()));
            figment = figment.merge(Layer { metadata, dict: index_streams(dict) });
        }
        let sorted: BTreeMap<&String, &String> = env.iter().map(|(name, text)| (name, text)).collect();
        let named =
            sorted.iter().filter(|(name, _)| name.ends_with("__ENV")).map(|(_, text)| text.to_string());
        secrets.extend(named);
        let variables = sorted.into_iter().filter(|(name, _)| !secrets.contains(*name));
        let variables = variables.filter_map(|(name, text)| Some((name.clone(), env_key(name)?, text)));
        let flags = overrides.iter().map(|(key, text)| (format!("--set {key}"), flag_key(key), text));
        for (origin, keys, text) in variables.chain(flags) {
            if keys.iter().any(String::is_empty) {
                errors.add(&Path::top(&origin), "a name between two level marks is empty");
                continue;
            }
            let value = interpret(&keys, text);
            if matches!(value, Value::Dict(..)) {
                tables.insert(path_of(&keys), origin.clone());
            }
            texts.insert(path_of(&keys), text.clone());
            let dict = nest(&keys, value);
            figment = figment.merge(Layer { metadata: Metadata::named(origin), dict: index_streams(dict) });
        }
        let merged = figment
            .find_value("")
            .map_err(|error| ConfigErrors::single("configuration", error.kind.to_string()))?;
        Ok(Self { figment, merged, texts, tables })
    }

    /// What was given besides streams, and the streams in order.
    pub(super) fn split(&self, errors: &mut Errors) -> (Value, Vec<(usize, Value)>) {
        let mut merged = self.merged.clone();
        let Value::Dict(_, dict) = &mut merged else { return (merged, Vec::new()) };
        let streams = match dict.remove("stream") {
            None => Vec::new(),
            Some(Value::Dict(_, streams)) if streams.keys().all(|key| key.parse::<usize>().is_ok()) => {
                let numbered =
                    streams.into_iter().filter_map(|(key, stream)| Some((key.parse().ok()?, stream)));
                let sorted: BTreeMap<usize, Value> = numbered.collect();
                for (expected, given) in
                    sorted.keys().enumerate().filter(|(expected, given)| expected != *given)
                {
                    let message = format!("there is no stream[{expected}] before this one");
                    errors.add(&Path::top("stream").index(*given), message);
                }
                sorted.into_iter().collect()
            }
            Some(_) => {
                let message = "expected a list of tables: each stream begins with [[stream]]";
                errors.add(&Path::top("stream"), message);
                Vec::new()
            }
        };
        (merged, streams)
    }

    /// The variable or flag that set what stands at `path`, or the table in which it is missing, if one did.
    pub(super) fn origin(&self, path: &Path) -> Option<String> {
        let (mut value, mut at, mut table) = (&self.merged, Path::default(), None);
        for segment in path.segments() {
            table = self.tables.get(&at).or(table);
            at = at.then(segment.clone());
            let below = match (value, segment) {
                (Value::Dict(_, dict), Segment::Key(key)) => dict.get(key),
                (Value::Dict(_, dict), Segment::Index(index)) => dict.get(&index.to_string()),
                (Value::Array(_, list), Segment::Index(index)) => list.get(*index),
                _ => None,
            };
            match below {
                Some(below) => value = below,
                None if matches!(value, Value::Dict(..)) => return table.cloned(),
                None => break,
            }
        }
        let metadata = self.figment.get_metadata(value.tag())?;
        metadata.source.is_none().then(|| metadata.name.clone().into_owned())
    }
}

/// Parses TOML. The error has the place but not the line, which may hold a secret.
fn parse(path: &FilePath, text: &str) -> Result<toml::Table, ConfigErrors> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let message = error.message().trim().replace('\n', "; ");
        ConfigErrors::single(format!("{}:{line}:{column}", path.display()), message)
    })
}

fn convert(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(switch) => switch.into(),
        // No key takes a date; as text it is reported as one, or is part of a predicate.
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(list) => Value::Array(Tag::Default, list.into_iter().map(convert).collect()),
        toml::Value::Table(table) => {
            Value::Dict(Tag::Default, table.into_iter().map(|(key, value)| (key, convert(value))).collect())
        }
    }
}

/// Collects the names of variables that hold secrets: `TRIBUTARY_TOKEN` may be one, and is no key then.
fn secret_variables(key: &str, value: &toml::Value, names: &mut BTreeSet<String>) {
    match value {
        toml::Value::String(name) if key == "env" => {
            names.insert(name.clone());
        }
        toml::Value::Table(table) => {
            table.iter().for_each(|(key, value)| secret_variables(key, value, names))
        }
        toml::Value::Array(list) => list.iter().for_each(|value| secret_variables("", value, names)),
        _ => {}
    }
}

fn index_streams(mut dict: Dict) -> Dict {
    if let Some(Value::Array(tag, streams)) = dict.get("stream") {
        let numbered = streams.iter().enumerate().map(|(index, stream)| (index.to_string(), stream.clone()));
        let streams = Value::Dict(*tag, numbered.collect());
        dict.insert("stream".to_owned(), streams);
    }
    dict
}

fn nest(keys: &[String], value: Value) -> Dict {
    match keys {
        [] => Dict::new(),
        [key] => Dict::from([(key.clone(), value)]),
        [key, below @ ..] => Dict::from([(key.clone(), Value::Dict(Tag::Default, nest(below, value)))]),
    }
}

fn path_of(keys: &[String]) -> Path {
    let mut path = Path::default();
    for (depth, key) in keys.iter().enumerate() {
        path = match key.parse() {
            Ok(index) if depth == 1 && keys[0] == "stream" => path.index(index),
            _ => path.key(key),
        };
    }
    path
}

/// Whether a variable is read by the program, as a key or otherwise as text.
pub(super) fn is_ours(name: &str) -> bool {
    // A path may be of any bytes.
    name.starts_with(PREFIX) && name != "TRIBUTARY_CONFIG"
}

/// The keys that a variable stands for; `None` if it is not meant for us.
fn env_key(name: &str) -> Option<Vec<String>> {
    let name = name.strip_prefix(PREFIX)?;
    let reserved =
        RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    if reserved || is_service_link(name) {
        return None;
    }
    let levels: Vec<&str> = name.split("__").collect();
    let lower = |level: &&str| level.to_lowercase();
    Some(match levels.as_slice() {
        // librdkafka's names have dots, which variable names cannot have.
        ["KAFKA", "PROPERTIES", rest @ ..] if !rest.is_empty() => {
            vec!["kafka".to_owned(), "properties".to_owned(), rest.join(".").to_lowercase().replace('_', ".")]
        }
        // Event types are upper case.
        [stream, index, "TOPICS", event_type] => {
            vec![lower(stream), lower(index), "topics".to_owned(), (*event_type).to_owned()]
        }
        levels => levels.iter().map(lower).collect(),
    })
}

/// Whether Kubernetes made this variable for a Service whose name begins with `tributary`.
fn is_service_link(name: &str) -> bool {
    let begins = |word: &str| name == word || name.starts_with(&format!("{word}_"));
    !name.contains("__")
        && (begins("SERVICE")
            || begins("PORT")
            || name.contains("_SERVICE_")
            || name.contains("_PORT_")
            || name.ends_with("_PORT"))
}

/// The keys that a flag's `stream[0].url`, `stream.0.url` or `kafka.properties.linger.ms` stands for.
fn flag_key(key: &str) -> Vec<String> {
    const PROPERTIES: &str = "kafka.properties.";
    if let Some(property) = key.strip_prefix(PROPERTIES) {
        return vec!["kafka".to_owned(), "properties".to_owned(), property.trim_matches('"').to_owned()];
    }
    key.replace('[', ".").replace(']', "").split('.').map(str::to_owned).collect()
}

/// The value that a text stands for: TOML where it is a number, a switch, a list, a table or quoted; else
/// itself.
fn interpret(keys: &[String], text: &str) -> Value {
    let is_property =
        matches!(keys, [kafka, properties, _] if kafka == "kafka" && properties == "properties");
    let is_secret = keys.len() > 3 && keys.last().is_some_and(|key| key == "value");
    let parsed = toml::from_str::<toml::Table>(&format!("value = {text}")).ok();
    let value = parsed.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    match value {
        Some(toml::Value::Datetime(_)) | None => text.into(),
        Some(value) if is_property && !value.is_table() => text.into(),
        Some(_) if is_secret => text.into(),
        Some(value) => convert(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_are_not_ours_are_left_alone() {
        for name in [
            "HOME",
            "TRIBUTARY_CONFIG",
            "TRIBUTARY_LOG",
            "TRIBUTARY_TEST_KAFKA",
            "TRIBUTARY_FAILPOINTS",
            "TRIBUTARY_SERVICE_HOST",
            "TRIBUTARY_SERVICE_PORT_METRICS",
            "TRIBUTARY_PORT",
            "TRIBUTARY_PORT_9464_TCP_ADDR",
            "TRIBUTARY_METRICS_SERVICE_HOST",
            "TRIBUTARY_METRICS_PORT_9464_TCP",
        ] {
            assert_eq!(env_key(name), None, "{name}");
        }
    }

    #[test]
    fn variables_and_flags_name_keys() {
        let joined = |name| env_key(name).unwrap().join("/");
        assert_eq!(joined("TRIBUTARY_KAFKA__BOOTSTRAP_SERVERS"), "kafka/bootstrap_servers");
        assert_eq!(joined("TRIBUTARY_KAFKA__PROPERTIES__SASL_PASSWORD"), "kafka/properties/sasl.password");
        assert_eq!(joined("TRIBUTARY_STREAM__0__TOPICS__OPEN"), "stream/0/topics/OPEN");
        assert_eq!(flag_key("stream[0].auth.bearer.env").join("/"), "stream/0/auth/bearer/env");
        assert_eq!(flag_key("kafka.properties.\"linger.ms\"").join("/"), "kafka/properties/linger.ms");
    }

    #[test]
    fn a_secret_stays_text() {
        let keys = flag_key("kafka.properties.sasl.password");
        assert_eq!(interpret(&keys, "1e3"), Value::from("1e3"));
        assert!(matches!(interpret(&keys, "{ env = \"X\" }"), Value::Dict(..)));
        assert_eq!(interpret(&flag_key("stream.0.auth.bearer.value"), "\"a\""), Value::from("\"a\""));
        assert_eq!(interpret(&flag_key("delivery"), "x\nkafka = 1"), Value::from("x\nkafka = 1"));
    }
}
