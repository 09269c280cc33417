"""A real Prometheus that asks a real system, by compose's own files."""

from __future__ import annotations

import json
import subprocess
import threading
import urllib.parse
from typing import Any

import yaml
from system import COMPOSE, System, free_port, get, tool, until

FOLDER = COMPOSE / "prometheus"


class Observed:
    """A system under a little load, and the Prometheus that watches it."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.address = f"127.0.0.1:{free_port()}"
        self.process: subprocess.Popen[bytes] | None = None
        self.stop = threading.Event()
        self.paused = threading.Event()
        self.idle = threading.Event()
        self.load = threading.Thread(target=self._submit)

    def __enter__(self) -> Observed:
        folder = self.system.folder
        config = self._config()
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        flags = [
            f"--config.file={folder}/prometheus.yaml",
            f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address={self.address}",
        ]
        self.system.start("prometheus", [tool("prometheus"), *flags])
        until("Prometheus", lambda: get(f"http://{self.address}/-/ready"))
        self.load.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.load.join()

    def ask(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """What an expression is now: labels and value of each series."""
        query = urllib.parse.urlencode({"query": expression})
        answer = json.loads(get(f"http://{self.address}/api/v1/query?{query}"))["data"]
        assert answer["resultType"] in ("vector", "scalar"), answer
        if answer["resultType"] == "scalar":
            return [({}, float(answer["result"][1]))]
        return [(series["metric"], float(series["value"][1])) for series in answer["result"]]

    def names(self) -> set[str]:
        """All names of metrics that Prometheus has heard."""
        return set(json.loads(get(f"http://{self.address}/api/v1/label/__name__/values"))["data"])

    def _config(self) -> dict[str, Any]:
        """compose's file with this machine's addresses, asked each second."""
        config: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(FOLDER / "rules.yaml")]
        # Anchors make two jobs share one list, which is rewritten once.
        config = json.loads(json.dumps(config))
        for job in config["scrape_configs"]:
            for group in job["static_configs"]:
                group["targets"] = [self._known(target) for target in group["targets"]]
            for rule in job.get("relabel_configs", []):
                if ":" in rule.get("replacement", "") and "/" not in rule["replacement"]:
                    rule["replacement"] = self._known(rule["replacement"])
        return config

    def _known(self, target: str) -> str:
        assert target in self.system.places, f"nothing listens at {target}"
        return self.system.places[target]

    def pause(self) -> None:
        """Submits nothing until `go_on`; returns when nothing is on its way."""
        self.idle.clear()
        self.paused.set()
        assert self.idle.wait(60)

    def go_on(self) -> None:
        self.paused.clear()

    def _submit(self) -> None:
        """More jobs than run at a time, until told to stop."""
        token = self.system.token("ada")
        while not self.stop.wait(1):
            if self.paused.is_set():
                self.idle.set()
                continue
            for number in range(40):
                get(f"{self.system.url}/jobs", token, {"module": "xtb_hello", "inputs": {"text": str(number)}})
