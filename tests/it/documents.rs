//! What the documents say of metrics is what the program exposes, and their links lead somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tributary::model::types::ShardId;
use tributary::sink::SinkError;
use tributary::sink::kafka::reach::Reach;
use tributary::supervisor::{AllFigures, ShardFigures};
use tributary::telemetry::{self, metrics::OfProcess};
use tributary::webhook::Metrics;

mod blocks;
mod configuration;
mod images;
mod links;
mod manifests;
mod monitoring;

/// Labels that nearly all have.
const COMMON: [&str; 2] = ["stream", "shard"];

/// What a scrape of a fresh process exposes.
struct Exposed {
    page: String,
    /// By name, as it is queried, the names and values of further labels.
    metrics: BTreeMap<String, BTreeSet<String>>,
    /// By family, the names of all labels of its rows.
    labels: BTreeMap<String, BTreeSet<String>>,
}

impl Exposed {
    fn new() -> Self {
        let id = ShardId { stream: "s".into(), index: 0 };
        let figures = ShardFigures {
            id,
            source: Default::default(),
            shard: Default::default(),
            kafka: Default::default(),
        };
        // This label shows with the first failure.
        figures.shard.failed(&SinkError::Fenced(String::new()));
        // Ages are absent until there is something to measure from; their families stand there all the same.
        let (reach, process) = (Reach::default(), OfProcess::default());
        let registry = telemetry::metrics::registry(
            &AllFigures::new(&[figures]),
            &reach,
            Some(&Metrics::default()),
            &process,
        );
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
        let mut metrics = BTreeMap::new();
        for line in page.lines() {
            let mut words = line.split(' ');
            if (words.next(), words.next()) == (Some("#"), Some("TYPE")) {
                let (family, kind) = (words.next().unwrap(), words.next().unwrap());
                let ending = if kind == "counter" { "_total" } else { "" };
                metrics.insert(format!("{family}{ending}"), BTreeSet::new());
            }
        }
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
            let labels = rest.strip_prefix('{').map_or("", |labels| labels.split_once('}').unwrap().0);
            for (label, value) in labels.split(',').filter_map(|label| label.split_once('=')) {
                all.entry(family(name).to_owned()).or_default().insert(label.to_owned());
                if let Some(further) = metrics.get_mut(name)
                    && !COMMON.contains(&label)
                {
                    further.extend([label.to_owned(), value.trim_matches('"').to_owned()]);
                }
            }
            all.entry(family(name).to_owned()).or_default();
        }
        Self { page, metrics, labels: all }
    }

    /// Whether a query of that name finds something.
    fn has(&self, name: &str) -> bool {
        let of_histogram =
            name != family(name) && self.page.contains(&format!("# TYPE {} histogram\n", family(name)));
        of_histogram || self.metrics.contains_key(name)
    }
}

/// What a histogram's rows are named after; other names stay.
fn family(name: &str) -> &str {
    let endings = ["_bucket", "_sum", "_count"];
    endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files at `path` or below it.
fn files(path: PathBuf) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path];
    }
    let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    entries.flat_map(|entry| files(entry.unwrap().path())).collect()
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("tributary_"))
}

#[test]
fn metrics_that_documents_name_exist() {
    let exposed = Exposed::new();
    let (mut named, mut unknown) = (0, Vec::new());
    for place in [
        "README.md",
        "CHANGELOG.md",
        "ARCHITECTURE.md",
        "docs",
        "config.example.toml",
        "docker-compose.yml",
        "helm",
        "alerts",
        "dashboards",
    ] {
        for file in files(top().join(place)) {
            let text = fs::read_to_string(&file).unwrap();
            named += names(&text).count();
            let wrong = names(&text).filter(|name| !exposed.has(name));
            unknown.extend(wrong.map(|name| format!("{}: {name}", file.display())));
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert!(named > exposed.metrics.len(), "{named} names");
}

#[test]
fn each_metric_and_its_labels_are_explained() {
    let (exposed, table) = (Exposed::new(), read("docs/metrics.md"));
    let mut missing = Vec::new();
    for (name, further) in &exposed.metrics {
        let rows: Vec<&str> =
            table.lines().filter(|line| line.starts_with(&format!("| `{name}` |"))).collect();
        let [row] = rows[..] else {
            missing.push(format!("{name} stands in {} rows", rows.len()));
            continue;
        };
        let unsaid = further.iter().filter(|label| !row.contains(&format!("`{label}`")));
        missing.extend(unsaid.map(|label| format!("{name}: `{label}`")));
    }
    assert!(missing.is_empty(), "{missing:#?}");
    let explained = exposed.metrics.values().filter(|further| !further.is_empty()).count();
    assert!(explained >= 5, "labels of {explained} metrics were compared");
}
