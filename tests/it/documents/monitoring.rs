//! What alerts and dashboards ask for is what the program exposes, and each alert is explained and tested.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::{COMMON, Exposed, files, read, top};

/// Labels that Prometheus adds, or Kubernetes.
const OF_SCRAPES: [&str; 3] = ["namespace", "job", "instance"];

/// A metric in an expression, with what stands in its braces.
struct Selector<'a> {
    name: &'a str,
    matchers: &'a str,
}

/// All metrics of ours that an expression or a series of a test names.
fn selectors(text: &str) -> Vec<Selector<'_>> {
    let starts = text.match_indices("tributary_").map(|(at, _)| at);
    let starts = starts.filter(|at| !text[..*at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_'));
    let at = |start: usize| {
        let rest = &text[start..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let matchers =
            rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |found| found.0);
        Selector { name, matchers }
    };
    starts.map(at).collect()
}

/// The labels of all `by (…)`, `on (…)` and `ignoring (…)`.
fn groupings(text: &str) -> impl Iterator<Item = &str> {
    let lists = ["by (", "on (", "ignoring ("].into_iter().flat_map(|word| text.split(word).skip(1));
    lists.flat_map(|list| list.split(')').next().unwrap_or_default().split(',')).map(str::trim)
}

impl Exposed {
    /// Whether rows of that metric have the label. Of an age that is not there yet the labels are those of its shard.
    fn has_label(&self, name: &str, label: &str) -> bool {
        let family = super::family(name);
        let known = self.labels.get(family).or_else(|| self.labels.get(name));
        known.map_or(COMMON.contains(&label), |known| known.contains(label)) || OF_SCRAPES.contains(&label)
    }

    /// What is wrong with the metrics of an expression.
    fn faults(&self, text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for Selector { name, matchers } in selectors(text) {
            if !self.has(name) {
                faults.push(format!("{name} does not exist"));
                continue;
            }
            for (label, values) in matchers.split(',').filter_map(|matcher| matcher.split_once('=')) {
                let label = label.trim().trim_end_matches('!');
                if !self.has_label(name, label) {
                    faults.push(format!("{name} has no label {label}"));
                }
                let further = self.metrics.get(name).filter(|further| further.contains(label));
                // A code may be any of Kafka's; a variable is the dashboard's.
                let values = values.trim_start_matches('~').trim_matches('"').split('|');
                let values = values.filter(|value| !value.starts_with('$') && label != "code");
                let Some(further) = further else { continue };
                let unknown = values.filter(|value| !further.contains(*value));
                faults.extend(unknown.map(|value| format!("{name} has no {label} {value}")));
            }
        }
        let known: BTreeSet<&str> = self.labels.values().flatten().map(String::as_str).collect();
        let unknown = groupings(text).filter(|label| !known.contains(label) && !OF_SCRAPES.contains(label));
        faults.extend(unknown.map(|label| format!("nothing has the label {label}")));
        faults
    }
}

/// The texts of all members of this name, however deep.
fn members<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| members(value, name, found)),
        Value::Object(object) => {
            found.extend(object.get(name).and_then(Value::as_str));
            object.values().for_each(|value| members(value, name, found));
        }
        _ => {}
    }
}

#[test]
fn alerts_ask_for_what_exists() {
    let exposed = Exposed::new();
    let mut asked = 0;
    for file in
        files(top().join("alerts")).iter().filter(|file| file.extension().is_some_and(|it| it == "yaml"))
    {
        let text = fs::read_to_string(file).unwrap();
        // An alert's labels are none of a metric.
        let rules = text.lines().filter(|line| !line.contains("ALERTS{")).collect::<Vec<_>>().join("\n");
        asked += selectors(&rules).len();
        assert_eq!(exposed.faults(&rules), [""; 0], "{}", file.display());
    }
    assert!(asked > 100, "{asked} metrics");
}

#[test]
fn each_alert_is_tested_and_has_its_section() {
    let rules = read("alerts/tributary.yaml");
    let tests = read("alerts/tributary.test.yaml") + &read("alerts/long.test.yaml");
    let runbook = read("docs/runbook.md");
    let sections: BTreeSet<&str> =
        runbook.lines().filter_map(|line| line.strip_prefix("## Tributary")).collect();
    let mut alerts = BTreeSet::new();
    for rule in rules.split("- alert: Tributary").skip(1) {
        let name = rule.lines().next().unwrap();
        assert!(alerts.insert(name), "{name} is there twice");
        let url = format!("runbook_url: docs/runbook.md#tributary{}\n", name.to_lowercase());
        for part in [&url[..], "severity: ", "summary: ", "description: "] {
            assert!(rule.contains(part), "{name} lacks {part}");
        }
        let expected = format!("alertname=\"Tributary{name}\"");
        assert!(tests.contains(&expected), "no test expects {name}");
    }
    assert_eq!(alerts, sections, "the alerts, and the sections of docs/runbook.md");
}

#[test]
fn what_is_wrong_with_an_expression_is_found() {
    let exposed = Exposed::new();
    let faults = |expression: &str| exposed.faults(expression);
    assert_eq!(
        faults("sum by (stream, le) (rate(tributary_commit_duration_seconds_bucket{le=\"1.0\"}[5m]))"),
        [""; 0]
    );
    assert_eq!(faults("tributary_reconnects_total{job=\"a\", class=~\"network|unauthorized\"}"), [""; 0]);
    assert_eq!(
        faults("tributary_stream_lag_seconds{stream=~\"$stream\"} and on (job) tributary_kafka_answers"),
        [""; 0]
    );
    for (wrong, fault) in [
        ("rate(tributary_commits[5m])", "tributary_commits does not exist"),
        ("tributary_queue_bytes_bucket", "tributary_queue_bytes_bucket does not exist"),
        ("tributary_kafka_answers{stream=\"a\"}", "tributary_kafka_answers has no label stream"),
        ("tributary_stream_lag_seconds{class=\"a\"}", "tributary_stream_lag_seconds has no label class"),
        ("tributary_reconnects_total{class!=\"net\"}", "tributary_reconnects_total has no class net"),
        ("sum by (pod) (tributary_ready)", "nothing has the label pod"),
    ] {
        assert_eq!(faults(wrong), [fault]);
    }
}

#[test]
fn the_dashboard_shows_every_metric_and_none_that_does_not_exist() {
    let exposed = Exposed::new();
    let dashboard: Value = serde_json::from_str(&read("dashboards/tributary.json")).unwrap();
    let (mut expressions, mut variables) = (Vec::new(), Vec::new());
    members(&dashboard, "expr", &mut expressions);
    members(&dashboard["templating"], "definition", &mut variables);
    for expression in expressions.iter().chain(&variables) {
        assert_eq!(exposed.faults(expression), [""; 0], "{expression}");
    }
    let shown: BTreeSet<&str> =
        expressions.iter().flat_map(|text| selectors(text)).map(|found| super::family(found.name)).collect();
    let missing: Vec<&String> =
        exposed.metrics.keys().filter(|name| !shown.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "not on the dashboard: {missing:?}");
}

#[test]
fn each_panel_says_what_it_shows_and_has_a_place_of_its_own() {
    let dashboard: Value = serde_json::from_str(&read("dashboards/tributary.json")).unwrap();
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: the id is there twice");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(x + w <= 24, "{title} is beyond the edge");
        let own = (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y)));
        own.for_each(|cell| assert!(cells.insert(cell), "{title} lies over another panel"));
        if panel["type"] != "row" {
            for said in [&panel["description"], &panel["fieldConfig"]["defaults"]["unit"]] {
                assert!(said.as_str().is_some_and(|said| !said.is_empty()), "{title}");
            }
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
    assert!(ids.len() > 40, "{} panels", ids.len());
}
