"""A broker whose data are put back to an earlier state, as by a restore that was none of Nox's."""

from __future__ import annotations

import shutil
from functools import partial

import yaml
from observed import FOLDER, Observed
from system import SERVICES, get, until


def test_a_log_that_is_put_back_raises_the_alarm_and_a_restart_does_not(own: Observed) -> None:
    groups = yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"]
    regressed = next(
        rule["expr"] for group in groups for rule in group["rules"] if rule.get("alert") == "NoxLogRegressed"
    )
    system, store = own.system, own.system.folder / "data"

    def frames() -> float:
        return sum(value for _, value in own.ask("max(nox_rows_frame)"))

    def restart() -> None:
        system.start("nats")
        until("the broker", lambda: get(f"http://{system.places['nats:8222']}/healthz"))

    until("some frames", lambda: frames() > 20)
    own.pause()
    system.stop("nats")
    shutil.copytree(store, system.folder / "earlier")
    restart()
    for name in SERVICES:
        until(f"{name} is ready", partial(system.ready, name))
    before = frames()
    own.go_on()
    until("more frames", lambda: frames() > before + 20)
    own.pause()
    assert own.ask(regressed) == []

    system.stop("nats")
    shutil.rmtree(store)
    shutil.move(system.folder / "earlier", store)
    restart()
    until("the alarm", lambda: own.ask(regressed), 90)
    # Both remember what they read, and neither goes on.
    assert [system.processes[name].wait(30) for name in ["projector", "notifier"]] == [1, 1]
    assert "rolled back" in system.log("projector")
    assert system.processes["gateway"].poll() is None
