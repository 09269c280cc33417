"""A job for each night, run once by hand as well; and what waits and is not needed any more, canceled with a reason."""

from datetime import UTC, datetime, timedelta

from nox_client import Client, Options

with Client() as nox:
    nightly = nox.schedules.create(
        "nightly", "0 3 * * *", "xtb_hello", {"text": "good night"}, time_zone="Europe/Berlin"
    )
    print(nox.schedules.trigger(nightly.id).result(timeout=60).files)
    nox.schedules.delete(nightly.id, reason="an example")

    later = Options(run_at=datetime.now(UTC) + timedelta(hours=1), labels={"team": "examples"})
    for _ in range(3):
        nox.run("xtb_hello", text="hello", options=later)
    count = nox.cancel_all(label="team=examples", status="queued", preview=True).count
    done = nox.cancel_all(
        label="team=examples", status="queued", at_most=count, reason="not needed any more"
    )
    print(f"{done.count} of {count} canceled")
