"""A thousand jobs; a line for each result, as it comes, goes into the file that is named."""

from __future__ import annotations

import os
import sys

from nox_client import Client, Options

with Client() as nox, open(sys.argv[1], "w") as results:
    outcomes = nox.map(
        "noop",
        [{"sleep_ms": index % 20} for index in range(1_000)],
        key=os.environ["MAP_KEY"] or None,
        options=Options(release_id="killed"),
        max_in_flight=200,
    )
    for outcome in outcomes:
        print(outcome.result.job.id, file=results, flush=True)
