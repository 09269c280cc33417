"""Prints what `compare` has measured as a table in Markdown: medians, and Nox's share of the peer's."""

import json
import sys
from pathlib import Path
from statistics import median

JOBS, ALL, EXECUTOR = "jobs/s", "CPU µs/job, all", "CPU µs/job, executor"


def read(name):
    return [json.loads(line) for line in (Path(sys.argv[1]) / name).read_text().splitlines()]


def row(name, jobs, cpu):
    return name, median(jobs), median(cpu), f"({min(jobs):.0f}–{max(jobs):.0f})"


figures = [line["figures"] for line in read("nox") if line.get("load") == "process"]
of_nox = {name: [one[name]["median"] for one in figures] for name in (JOBS, ALL, EXECUTOR)}
rows = [row("Nox, everything", of_nox[JOBS], of_nox[ALL]), row("Nox, executor and jobs", of_nox[JOBS], of_nox[EXECUTOR])]
for name, title in (("files", "HyperQueue"), ("quiet", "HyperQueue, output thrown away")):
    peer = read(name)
    rows.append(row(title, [one["jobs_per_second"] for one in peer], [one["cpu_us_per_job"] for one in peer]))
print("| | jobs/s | CPU µs/job |\n|---|---|---|")
for name, jobs, cpu, spread in rows:
    print(f"| {name} | {jobs:.0f} {spread} | {cpu:.0f} |")
_, jobs, cpu, _ = rows[2]
print(f"\nNox does {rows[0][1] / jobs:.2f} of HyperQueue's jobs a second, at {rows[0][2] / cpu:.2f} of its CPU a job;", end=" ")
print(f"the executor with its jobs alone at {rows[1][2] / cpu:.2f}.")
