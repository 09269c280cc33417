"""What rules and dashboards name exists in a running system, and a real Prometheus answers what they ask."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import yaml
from observed import FOLDER, Observed
from system import COMPOSE, ROOT, get, tool, until

# What the first users' document asks for, as it is written there.
SEED = {
    "Jobs submitted (rate)": "sum by(module) (rate(nox_job_submitted_total[5m]))",
    "Running jobs": "sum by(module) (nox_job_running)",
    "Job duration (hist)": "histogram_quantile(0.95, sum(rate(nox_job_duration_seconds_bucket[5m])) by (le, module))",
}

# Series that a system has once something has gone wrong, or somebody has set a webhook: Rust names them.
AFTER_AN_EVENT = {
    "nox_scheduler_terms_ended_total",
    "nox_log_held_seconds",
    "nox_log_readers_left_behind_total",
    "nox_projection_parked_total",
    "nox_webhook_attempts_total",
}
# Likewise of names that are there with other labels.
NOT_WHILE_WELL = {
    'nox_http_requests_total{status="507"}',
    'nox_http_requests_total{status=~"5.."}',
}

SELECTOR = re.compile(r"\b((?:nox|probe)[a-z_0-9:]*|up|ALERTS)(\{[^}]*\})?(?![a-z_(])")


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((FOLDER / "rules.yaml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboards() -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((COMPOSE / "grafana/dashboards").glob("*.json"))}


def panels() -> dict[str, list[str]]:
    """Expressions by `dashboard: panel`."""
    found = {}
    for name, dashboard in dashboards().items():
        for panel in dashboard["panels"]:
            expressions = [target["expr"] for target in panel.get("targets", [])]
            if expressions:
                found[f"{name}: {panel['title']}"] = expressions
    return found


def expressions() -> list[str]:
    return [rule["expr"] for rule in rules()] + [expr for some in panels().values() for expr in some]


def selectors(expression: str) -> set[tuple[str, str]]:
    """Each series that an expression looks for, by name and labels."""
    return {(name, labels) for name, labels in SELECTOR.findall(expression) if name != "ALERTS"}


def in_rust(name: str) -> bool:
    files = (ROOT / "services").glob("*/src/**/*.rs")
    return any(f'"{name}"' in path.read_text() for path in files)


def missing(observed: Observed, expression: str) -> list[str]:
    """The selectors of an expression that found nothing within the last ten minutes."""
    found = []
    for name, labels in sorted(selectors(expression)):
        if name in AFTER_AN_EVENT or name + labels in NOT_WHILE_WELL:
            base = re.sub("_(bucket|count|sum)$", "", name)
            if not in_rust(base):
                found.append(f"{name}: no service names it")
        elif not observed.ask(f"count(max_over_time({name}{labels}[10m]))"):
            found.append(f"{name}{labels}: there is none")
    return found


def test_the_rules_pass_promtool() -> None:
    for words in [
        ["check", "config", "prometheus.yaml"],
        ["check", "rules", "rules.yaml"],
        ["test", "rules", "rules.test.yaml"],
    ]:
        done = subprocess.run([tool("promtool"), *words], cwd=FOLDER, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested_where_it_fires_and_described() -> None:
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    tests = yaml.safe_load((FOLDER / "rules.test.yaml").read_text())["tests"]
    fired = {
        test["alertname"] for group in tests for test in group.get("alert_rule_test", []) if test.get("exp_alerts")
    }
    assert alerts - fired == set()
    operations = (ROOT / "docs/OPERATIONS.md").read_text()
    assert [alert for alert in sorted(alerts) if f"| `{alert}` |" not in operations] == []
    described = set(re.findall(r"^\| `(Nox[A-Za-z]+)` \|", operations, re.MULTILINE))
    assert described - alerts == set()


def test_a_planted_fault_in_a_rule_turns_its_test_red(tmp_path: Any) -> None:
    text = (FOLDER / "rules.yaml").read_text()
    (tmp_path / "rules.test.yaml").write_text((FOLDER / "rules.test.yaml").read_text())
    for right, wrong in [
        ("> 900", "> 9000"),
        ("offset 2h", "offset 9h"),
        ('status="507"', 'status="508"'),
        ("14.4 * 0.01", "44 * 0.01"),
    ]:
        assert right in text
        (tmp_path / "rules.yaml").write_text(text.replace(right, wrong))
        done = subprocess.run([tool("promtool"), "test", "rules", "rules.test.yaml"], cwd=tmp_path, capture_output=True)
        assert done.returncode != 0, wrong


def test_dashboards_have_what_grafana_reads() -> None:
    source = yaml.safe_load((COMPOSE / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"][
        0
    ]
    for name, dashboard in dashboards().items():
        assert dashboard["uid"] == f"nox-{name}"
        shown = dashboard["panels"]
        assert len({panel["id"] for panel in shown}) == len(shown)
        cells = [(x, y) for panel in shown for x, y in covered(panel["gridPos"])]
        assert len(set(cells)) == len(cells), f"{name}: panels overlap"
        assert max(x for x, _ in cells) < 24
        for panel in shown:
            for target in panel.get("targets", []):
                assert target["datasource"]["uid"] == source["uid"]
    mounted = [
        volume.split(":")[1]
        for volume in yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]["grafana"]["volumes"]
    ]
    provider = yaml.safe_load((COMPOSE / "grafana/provisioning/dashboards/nox.yaml").read_text())["providers"][0]
    assert provider["options"]["path"] in mounted


def covered(place: dict[str, int]) -> list[tuple[int, int]]:
    across, down = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
    return [(x, y) for x in across for y in down]


def test_whatever_rules_and_dashboards_name_exists(observed: Observed) -> None:
    def some_is_missing() -> list[str]:
        return [fault for expression in expressions() for fault in missing(observed, expression)]

    # Rates need two looks; queued jobs are looked at every 15 s.
    try:
        until("every series", lambda: not some_is_missing(), 60)
    except TimeoutError:
        assert some_is_missing() == []
    assert missing(observed, "sum(rate(nox_job_submited_total[5m]))") == ["nox_job_submited_total: there is none"]
    assert missing(observed, 'nox_workers_count{state="list"}') == ['nox_workers_count{state="list"}: there is none']
    assert len({selector for expression in expressions() for selector in selectors(expression)}) > 60


def test_metrics_of_all_services_are_in_some_dashboard_or_rule(observed: Observed) -> None:
    """What a service counts and nobody looks at is named here, so that something new is not forgotten."""
    text = " ".join(expressions())
    names = {name for name in observed.names() if name.startswith("nox_") and not name.startswith("nox_webhook_")}
    bases = {re.sub("_(bucket|count|sum)$", "", name) for name in names}
    seen = {re.sub("_(bucket|count|sum)$", "", name) for name, _ in selectors(text)}
    assert bases - seen == {"nox_scheduler_takeover_snapshot_n", "nox_log_archive_requests"}


def by_module(observed: Observed, query: str) -> dict[str, float]:
    """What is more than nothing."""
    return {labels["module"]: value for labels, value in observed.ask(query) if value > 0}


def test_the_first_users_three_queries_answer_with_numbers(observed: Observed) -> None:
    shown = panels()
    for title, query in SEED.items():
        assert shown[f"overview: {title}"] == [query]
        values = until(query, partial(by_module, observed, query))
        assert set(values) == {"xtb_hello"} and math.isfinite(values["xtb_hello"]), values


def test_every_panel_answers(observed: Observed) -> None:
    for title, wanted in panels().items():
        for query in wanted:
            if any(name in AFTER_AN_EVENT or name + labels in NOT_WHILE_WELL for name, labels in selectors(query)):
                observed.ask(query)
            else:
                until(f"{title}: {query}", partial(observed.ask, query), 30)


class Readiness(BaseHTTPRequestHandler):
    """Says 503 with the body of its server."""

    body = b""

    def do_GET(self) -> None:
        self.send_response(503)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


def test_what_readiness_says_is_found_by_the_prober(observed: Observed) -> None:
    places = observed.system.places
    said = get(f"http://{places['notifier:9100']}/readyz")
    well = '"notifier.audit":{"status":"ok"}'
    assert well in said, said
    waits = '"notifier.audit":{"reason":"the audit waits for its disk: No space left","status":"not_ready"}'
    back = '"notifier":{"reason":"NOX_EVENTS: the log was rolled back: it ends at 5","status":"not_ready"}'

    def found(module: str, body: str) -> bool:
        with HTTPServer(("127.0.0.1", 0), type("Said", (Readiness,), {"body": body.encode()})) as server:
            thread = Thread(target=server.handle_request)
            thread.start()
            target = f"http://127.0.0.1:{server.server_port}/readyz"
            probe = get(f"http://{places['blackbox-exporter:9115']}/probe?module={module}&target={target}")
            thread.join()
        return "probe_failed_due_to_regex 1" in probe

    assert found("audit", said.replace(well, waits)) and not found("audit", said)
    assert found("log", said.replace(well, f"{back},{well}")) and not found("log", said.replace(well, waits))


def test_nothing_fires_while_all_is_well_and_a_lost_worker_does(observed: Observed) -> None:
    for rule in rules():
        observed.ask(rule["expr"])
    # How fast submits are on a machine that does other things as well is no matter here.
    fires = 'ALERTS{alertstate="firing", alertname!~"NoxSubmits.*"}'
    assert observed.ask(fires) == []
    executor = observed.system.processes["executor"]
    os.kill(executor.pid, signal.SIGKILL)
    executor.wait()
    until("the alert", lambda: observed.ask('ALERTS{alertname="NoxWorkerLost", alertstate="firing"}'), 60)
    assert observed.ask('up{job="nox-executor"}')[0][1] == 0
