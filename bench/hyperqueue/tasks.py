"""Runs tasks of HyperQueue that do nothing, and prints what they took as a line of JSON.

Server, worker and client are threads of this process, as HyperQueue's own LocalCluster starts them; each task
is a process. Their output goes to the working folder, as is usual with it.
"""

import json
import os
import resource
import sys
import time

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

WARM_UP = 100


def spent():
    """Processor time of this process and of all that it has waited for, in seconds."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def run(client, tasks, quiet):
    job = Job()
    for _ in range(tasks):
        if quiet:
            job.program(["true"], stdout=None, stderr=None)
        else:
            job.program(["true"])
    began, before = time.monotonic(), spent()
    if not client.wait_for_jobs([client.submit(job)]):
        sys.exit("a task failed")
    return time.monotonic() - began, spent() - before


def main():
    tasks, slots, quiet = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "quiet"
    # What it says of itself goes there, too.
    out = os.dup(1)
    os.dup2(2, 1)
    with LocalCluster() as cluster:
        cluster.start_worker(WorkerConfig(cores=slots))
        client = cluster.client()
        run(client, WARM_UP, quiet)
        took, cpu = run(client, tasks, quiet)
    line = json.dumps({"jobs_per_second": tasks / took, "cpu_us_per_job": cpu / tasks * 1e6})
    os.write(out, f"{line}\n".encode())


main()
