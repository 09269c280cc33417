"""The chart, rendered by Helm's own engine and held against Kubernetes' own schemas, without a cluster."""

from __future__ import annotations

import copy
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml
from system import ROOT, SERVICES, compose

CHART = ROOT / "deploy/helm/nox"
VERSIONS = ["1.27", "1.31", "1.37"]

# Ways in which somebody may set it up.
VALUES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "small": {
        "gateway": {"replicas": 1, "autoscaling": {"enabled": False}},
        "scheduler": {"replicas": 1},
        "executor": {"replicas": 1, "autoscaling": {"enabled": False}, "isolated": True},
        "notifier": {"enabled": False},
        "nats": {"replicas": 1},
        "networkPolicy": {"enabled": False},
    },
    "buckets": {
        "archive": {"url": "s3://nox/archive"},
        "artifacts": {"url": "s3://nox/artifacts"},
        "audit": {"size": ""},
        "networkPolicy": {
            "clients": [{"namespaceSelector": {}}],
            "egress": [{"ports": [{"protocol": "TCP", "port": 443}]}],
        },
        "gateway": {"env": {"AWS_REGION": "eu-central-1", "NOX_RATE_LIMIT_PER_S": 100}},
        "executor": {"nodeSelector": {"pool": "jobs"}, "tolerations": [{"key": "jobs", "operator": "Exists"}]},
    },
    "own claims": {
        "archive": {"claim": "log", "storageClass": "nfs"},
        "artifacts": {"claim": "files"},
        "image": {"repository": "registry.example/nox", "tag": "1.2.3", "pullSecrets": [{"name": "registry"}]},
        "executor": {"work": {"storageClass": "fast"}},
    },
}


def rendered(values: dict[str, Any]) -> list[dict[str, Any]]:
    with helm_python.Chart.load(CHART) as chart:
        texts = chart.render(values, name="nox", namespace="jobs")
    documents = [yaml.safe_load_all(text) for name, text in texts.items() if name.endswith(".yaml")]
    return [document for some in documents for document in some if document]


def of_kind(documents: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {document["metadata"]["name"]: document for document in documents if document["kind"] == kind}


def pods(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = {**of_kind(documents, "Deployment"), **of_kind(documents, "StatefulSet")}
    return {name.removeprefix("nox-"): workload["spec"]["template"] for name, workload in found.items()}


@pytest.mark.parametrize("name", VALUES)
def test_it_renders_to_what_kubernetes_takes(name: str) -> None:
    documents = rendered(VALUES[name])
    assert len(documents) > 8
    for document in documents:
        for version in VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)
    names = [(document["kind"], document["metadata"]["name"]) for document in documents]
    assert len(set(names)) == len(names)
    report = helm_python.lint(str(CHART), VALUES[name], strict=True)
    assert report["errors"] == [] and all(message["severity"] < 2 for message in report["messages"]), report


def test_what_kubernetes_does_not_take_is_found() -> None:
    document = copy.deepcopy(of_kind(rendered({}), "Deployment")["nox-gateway"])
    document["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, VERSIONS[0], strict=True)


@pytest.mark.parametrize(
    "values",
    [
        {"gatewy": {}},
        {"nats": {"sync": "lax"}},
        {"nats": {"replicas": 2}},
        {"archive": {"url": "ftp://nox"}},
        {"executor": {"slots": 0}},
        {"scheduler": {"env": {"not a name": "1"}}},
    ],
)
def test_values_that_mean_nothing_are_refused(values: dict[str, Any]) -> None:
    report = helm_python.lint(str(CHART), values, strict=True)
    assert report["errors"], report


@pytest.mark.parametrize("name", VALUES)
def test_every_pod_is_held_down_and_asked_how_it_is(name: str) -> None:
    for part, pod in pods(rendered(VALUES[name])).items():
        spec = pod["spec"]
        container = spec["containers"][0]
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] == 65532
        loose = part == "executor" and VALUES[name].get("executor", {}).get("isolated")
        assert spec["securityContext"]["seccompProfile"]["type"] == ("Unconfined" if loose else "RuntimeDefault")
        assert spec["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert "memory" in container["resources"]["limits"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        volumes = {volume["name"] for volume in spec["volumes"]} | ({"work"} if part == "executor" else set())
        assert mounted == volumes, part


def test_services_are_told_what_compose_tells_them() -> None:
    told = pods(rendered({}))
    for name in SERVICES:
        env = told[name]["spec"]["containers"][0]["env"]
        names = [entry["name"] for entry in env]
        assert len(set(names)) == len(names), name
        wanted = set(compose()["services"][name]["environment"]) - {"NOX_FEED"}
        if name == "executor":
            wanted.discard("NOX_ARCHIVE")
        assert wanted - set(names) == set(), name
        texts = [
            path.read_text() for place in ["services/" + name, "libs"] for path in (ROOT / place).rglob("src/**/*.rs")
        ]
        source = " ".join(texts)
        assert [known for known in names if f'"{known}"' not in source] == [], name
        # What is secret is in the Secret.
        plain = {entry["name"] for entry in env if "value" in entry}
        assert not plain & {"NOX_NATS_URL", "NOX_DATABASE_URL", "NOX_CLUSTER_KEY", "NOX_WEBHOOK_KEY", "NOX_JWT_SECRET"}


def test_who_is_one_at_a_time_is_never_two() -> None:
    deployments = of_kind(rendered({}), "Deployment")
    for part in ["projector", "notifier"]:
        spec = deployments[f"nox-{part}"]["spec"]
        assert spec["strategy"] == {"type": "Recreate"} and spec["replicas"] == 1
    assert deployments["nox-scheduler"]["spec"]["replicas"] == 2


def test_budgets_policies_and_scaling_find_their_pods() -> None:
    documents = rendered({})
    labels = {part: pod["metadata"]["labels"] for part, pod in pods(documents).items()}
    for kind, parts in [
        ("PodDisruptionBudget", {"gateway", "scheduler", "executor"}),
        ("NetworkPolicy", set(SERVICES)),
    ]:
        found = of_kind(documents, kind)
        assert {name.removeprefix("nox-") for name in found} == parts
        for name, document in found.items():
            selector = document["spec"].get("selector") or document["spec"]["podSelector"]
            of = name.removeprefix("nox-")
            chosen = [part for part, own in labels.items() if selector["matchLabels"].items() <= own.items()]
            assert chosen == [of]
    for name, kind in [("nox-gateway", "Deployment"), ("nox-executor", "StatefulSet")]:
        scaler = of_kind(documents, "HorizontalPodAutoscaler")[name]["spec"]
        assert scaler["scaleTargetRef"]["kind"] == kind and name in of_kind(documents, kind)
        assert "replicas" not in of_kind(documents, kind)[name]["spec"]
        metrics = [metric["external"]["metric"] for metric in scaler["metrics"] if metric["type"] == "External"]
        queries = yaml.safe_load((ROOT / "compose/prometheus/queries.yaml").read_text())
        assert metrics[0]["name"] == "nox_queue_jobs"
        columns = {key: value for column in queries["nox_queue"]["metrics"] for key, value in column.items()}
        assert columns["jobs"]["usage"] == "GAUGE" and set(metrics[0]["selector"]["matchLabels"]) <= set(columns)


def test_an_executor_reaches_the_broker_and_nothing_else() -> None:
    policy = of_kind(rendered({}), "NetworkPolicy")["nox-executor"]["spec"]
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert ports == {53, 4222, 8222}
    assert [rule["ports"][0]["port"] for rule in policy["ingress"]] == ["admin"]


def test_the_chart_has_no_file_that_nothing_reads() -> None:
    assert {path.name for path in CHART.iterdir()} == {"Chart.yaml", "values.yaml", "values.schema.json", "templates"}
