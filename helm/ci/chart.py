"""What `check` asks about the chart beyond what Helm itself knows.

    chart.py values [--write]       README, values.yaml and the schema must name the same values; --write renews the README
    chart.py objects VERSION...     the objects on standard input must satisfy the schemas of these Kubernetes versions
    chart.py config DIRECTORY       takes the configuration, variables and arguments of the pods out of the objects on standard input
    chart.py effective DIRECTORY    what the program makes of it must fit the objects: ports, certificate, paths of webhooks
    chart.py monitoring URL         the alerts and the dashboard among the objects on standard input must be those of the project
    chart.py example FILE           a configuration file as values, the configuration being a map
"""

import json
import re
import shlex
import sys
import tomllib
from pathlib import Path

import yaml

CHART = Path(__file__).parent.parent
# Kinds that are not Kubernetes' own; `cluster` holds them against their definition.
FOREIGN = {"ServiceMonitor", "PrometheusRule"}
# What the schema allows for the sake of a parent chart.
PARENTS = {"global", "enabled"}
BEGIN, END = "<!-- values: written by ci/chart.py -->\n", "<!-- end of values -->\n"


def documented(text):
    """The values with a `# --` comment: path to (default, meaning)."""
    values, stack, doc, default = {}, [], [], None
    data = yaml.safe_load(text)
    for line in text.splitlines():
        if found := re.match(r" *# -- (.*)", line):
            doc = [found[1]]
        elif found := re.match(r" *# @default -- (.*)", line):
            default = found[1]
        elif found := re.match(r" *# (.*)", line):
            doc += [found[1]] if doc else []
        elif found := re.match(r"( *)([A-Za-z]+):", line):
            stack[len(found[1]) // 2 :] = [found[2]]
            if doc:
                value = data
                for key in stack:
                    value = value[key]
                shown = f"`{json.dumps(value)}`" if value is not None else "none"
                values[".".join(stack)] = (default or shown, " ".join(doc))
            doc, default = [], None
    return values


def leaves(value, path=()):
    """The paths of all values that are no maps, and of all empty maps."""
    if isinstance(value, dict) and value:
        return [leaf for key, below in value.items() for leaf in leaves(below, (*path, key))]
    return [".".join(path)]


def in_schema(schema, node, path=()):
    """The paths of all properties that have none below them."""
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].removeprefix("#/$defs/")]
    below = {key: value for key, value in node.get("properties", {}).items() if path or key not in PARENTS}
    return [leaf for key in below for leaf in in_schema(schema, below[key], (*path, key))] or [".".join(path)]


def covered(path, values):
    return any(path == value or path.startswith(value + ".") for value in values)


def check_values(write):
    text = (CHART / "values.yaml").read_text()
    values = documented(text)
    schema = json.loads((CHART / "values.schema.json").read_text())
    allowed = in_schema(schema, schema)
    problems = [f"values.yaml: {leaf} has no # -- comment" for leaf in leaves(yaml.safe_load(text)) if not covered(leaf, values)]
    problems += [f"values.schema.json: {leaf} is not in values.yaml" for leaf in allowed if not covered(leaf, values)]
    problems += [
        f"values.yaml: {value} is not in values.schema.json"
        for value in values
        if not any(leaf == value or leaf.startswith(value + ".") for leaf in allowed)
    ]
    given = leaves(yaml.safe_load((CHART / "ci/values/everything.yaml").read_text()))
    problems += [f"ci/values/everything.yaml: {value} is missing" for value in values if not any(covered(leaf, [value]) for leaf in given)]
    rows = [f"| `{path}` | {default} | {meaning.replace('|', chr(92) + '|')} |" for path, (default, meaning) in values.items()]
    table = "\n".join(["| value | default | meaning |", "|---|---|---|", *rows, ""])
    readme = CHART / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    old, _, after = rest.partition(END)
    if write:
        readme.write_text(before + BEGIN + table + END + after)
    elif old != table:
        wrong = sorted(set(old.splitlines()) ^ set(table.splitlines())) or ["the order"]
        problems += [f"README.md differs from values.yaml (ci/chart.py values --write renews it): {line}" for line in wrong]
    print("\n".join(problems) or f"{len(values)} values in README, values.yaml and schema")
    return bool(problems)


def texts(value, key=""):
    """All strings of a configuration, with the nearest key."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from texts(below, key)
    elif isinstance(value, list):
        for below in value:
            yield from texts(below, key)


class Strict(yaml.SafeLoader):
    """Refuses a key that is there twice, of which YAML readers take one or the other, and some none."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            sys.exit(f"  twice in one map: {', '.join(sorted(twice))}{node.start_mark}")
        return super().construct_mapping(node, deep)


def objects():
    return [item for item in yaml.load_all(sys.stdin, Strict) if item]


def check_objects(versions):
    import kubernetes_validate

    kinds, wrong = [], False
    for item in objects():
        kinds.append(item["kind"])
        if item["kind"] in FOREIGN:
            continue
        for version in versions:
            try:
                kubernetes_validate.validate(item, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                wrong = True
                print(f"{item['kind']} at Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}")
    foreign = "".join(f" (not {kind}: no schema of Kubernetes)" for kind in kinds if kind in FOREIGN)
    print(f"  {len(kinds)} objects satisfy Kubernetes {', '.join(versions)}{foreign}" if not wrong else "  refused")
    return wrong


def take_config(directory):
    """Also checks that what the configuration reads from /run is mounted, and that named variables are given."""
    everything = objects()
    by_kind = {item["kind"]: item for item in everything}
    services = {item["metadata"]["name"]: item["spec"] for item in everything if item["kind"] == "Service"}
    (config,) = [item["data"]["config.toml"] for item in everything if item["kind"] == "ConfigMap" and "config.toml" in item["data"]]
    ingress = by_kind.get("Ingress")
    pod = by_kind["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    tests = {item["name"]: item for item in by_kind["Pod"]["spec"]["containers"]}
    plain = {item["name"]: item["value"] for item in container["env"] if "value" in item}
    here = lambda words: "".join(f"{shlex.quote(word.replace('/etc/tributary', str(directory)))}\n" for word in words)
    files = {
        "config.toml": config,
        "env": here(f"{name}={value}" for name, value in plain.items()),
        "run": here(container["args"]),
        "test": here(tests["config"]["args"]),
        "ready": here(tests["ready"]["args"] if "ready" in tests else []),
        "grace": pod["terminationGracePeriodSeconds"],
        "pause": container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0),
        "ports": json.dumps({port["name"]: port["containerPort"] for port in container["ports"]}),
        "paths": json.dumps([path["path"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]] if ingress else None),
        "probes": " ".join(container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")),
    }
    for name, content in files.items():
        directory.joinpath(name).write_text(str(content))
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    variables = {item["name"] for item in container["env"]}
    named = [*texts(tomllib.loads(config)), *plain.items()]
    missing = [
        text
        for key, text in named
        if (key == "env" and text not in variables) or (text.startswith("/run/") and str(Path(text).parent) not in mounts)
    ]
    print("".join(f"  the configuration names {name}, which the pod lacks\n" for name in missing), end="")
    wrong = dangling(by_kind, services, {port["name"] for port in container["ports"]})
    print("".join(f"  {problem}\n" for problem in wrong), end="")
    (admin,) = [name for name, spec in services.items() if spec["ports"][0]["targetPort"] == "admin"]
    ready = f"http://{admin}:{services[admin]['ports'][0]['port']}{container['readinessProbe']['httpGet']['path']}"
    # A stopped release is not asked.
    asked = [test["args"][-1] for name, test in tests.items() if name == "ready"]
    expected = [ready] * min(1, by_kind["Deployment"]["spec"]["replicas"])
    if asked != expected:
        print(f"  helm test asks {asked} instead of {expected}")
    return bool(missing or wrong) or asked != expected


def dangling(by_kind, services, ports):
    """What leads to a port that nothing has, and ports of the pod that nothing leads to."""
    targets = [port["targetPort"] for spec in services.values() for port in spec["ports"]]
    wrong = [f"the Services lead to {sorted(targets)}, and the pod has {sorted(ports)}"] if sorted(targets) != sorted(ports) else []
    if policy := by_kind.get("NetworkPolicy"):
        let_in = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
        wrong += [f"the NetworkPolicy lets {sorted(let_in)} in, and the pod has {sorted(ports)}"] if sorted(let_in) != sorted(ports) else []
    for rule in by_kind.get("Ingress", {"spec": {"rules": []}})["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            found = {port["name"]: port["targetPort"] for port in services[backend["name"]]["ports"]}
            wrong += [f"the Ingress leads {path['path']} to {backend}"] if found.get(backend["port"]["name"]) != "webhook" else []
    return wrong


def check_effective(directory):
    config = tomllib.loads(directory.joinpath("effective.toml").read_text())
    ports, paths = (json.loads(directory.joinpath(name).read_text()) for name in ("ports", "paths"))
    pushed = [stream["path"] for stream in config["stream"] if stream["kind"] == "airship_webhook"]
    listens = {"admin": config["admin"]["listen"]}
    if pushed:
        listens["webhook"] = config["webhook"]["listen"]
    wrong = []
    for name, listen in listens.items():
        host, _, port = listen.rpartition(":")
        if host not in ("0.0.0.0", "[::]") or int(port) != ports.get(name):
            wrong.append(f"{name}.listen is {listen}, and the pod's ports are {ports}")
    if sorted(ports) != sorted(listens):
        wrong.append(f"the pod has the ports {sorted(ports)}, and the program listens at {sorted(listens)}")
    if paths is not None and set(paths) != set(pushed):
        wrong.append(f"the Ingress has {paths}, and the program {pushed}")
    variables = dict(line.split("=", 1) for line in shlex.split(directory.joinpath("env").read_text()))
    tls = config.get("webhook", {}).get("tls") or {}
    for key in ("cert", "key"):
        given = variables.get(f"TRIBUTARY_WEBHOOK__TLS__{key.upper()}")
        if given and tls.get(key) != given:
            wrong.append(f"webhook.tls.{key} is {tls.get(key)}, and not {given}")
    shown = "".join(f", {name} at {listen}" for name, listen in listens.items())
    print("\n".join(f"  {problem}" for problem in wrong) or f"  the program takes the configuration{shown}{' over TLS' if tls else ''}")
    return bool(wrong)


def check_monitoring(url):
    """The runbook is at the address."""
    (rule, dashboard) = [item for item in objects() if item["kind"] == "PrometheusRule" or "tributary.json" in item.get("data", {})]
    if rule["kind"] != "PrometheusRule":
        rule, dashboard = dashboard, rule
    project = CHART.parent
    alerts = yaml.safe_load(project.joinpath("alerts/tributary.yaml").read_text())
    for alert in alerts["groups"][0]["rules"]:
        _, section = alert["annotations"]["runbook_url"].split("#")
        alert["annotations"]["runbook_url"] = f"{url}#{section}"
    wrong = ["the alerts"] if rule["spec"] != alerts else []
    shown = json.loads(dashboard["data"]["tributary.json"])
    wrong += ["the dashboard"] if shown != json.loads(project.joinpath("dashboards/tributary.json").read_text()) else []
    print(f"  {' and '.join(wrong)} differ from the project's" if wrong else f"  {len(alerts['groups'][0]['rules'])} alerts and the dashboard are the project's")
    return bool(wrong)


def main(command, *arguments):
    match command:
        case "values":
            return check_values("--write" in arguments)
        case "objects":
            return check_objects(arguments)
        case "config":
            return take_config(Path(arguments[0]))
        case "effective":
            return check_effective(Path(arguments[0]))
        case "monitoring":
            return check_monitoring(*arguments)
        case "example":
            print(json.dumps({"config": tomllib.loads(Path(arguments[0]).read_text())}))
            return False


sys.exit(main(*sys.argv[1:]))
