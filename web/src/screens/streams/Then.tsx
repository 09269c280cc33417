import { Button } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { queries } from "../../api/queries";
import { More } from "../../parts/More";
import { JobLink, State, When } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";
import { reason } from "../../words/reasons";

type Props = { search: Record<string, string>; show: (next: Record<string, string | undefined>) => void };

const BEFORE: [name: string, ms: number][] = [
  ["a minute ago", 60_000],
  ["an hour ago", 3_600_000],
  ["a day ago", 86_400_000],
];

/** The queue and the workers as they were: the server folds them from the log by the scheduler's own rules. */
export function Then({ search, show }: Props) {
  const at = search.as_of ?? "";
  const [draft, setDraft] = useState(at);
  const go = (next: string) => {
    setDraft(next);
    show({ as_of: next || undefined });
  };
  return (
    <section>
      <form
        className="row filters"
        onSubmit={(event) => {
          event.preventDefault();
          go(draft.trim());
        }}
      >
        <label>
          <span className="dim">As of</span>
          <input data-search value={draft} placeholder="a frame, or 2026-12-01T06:00:00Z" onChange={(event) => setDraft(event.currentTarget.value)} spellCheck={false} />
        </label>
        <label>
          <span className="dim">State</span>
          <select value={search.status ?? ""} onChange={(event) => show({ status: event.currentTarget.value || undefined })}>
            <option value="">all that were open</option>
            <option>queued</option>
            <option>running</option>
            <option>draft</option>
          </select>
        </label>
        <Button type="submit" size="compact-sm" variant="default">
          Show
        </Button>
        {BEFORE.map(([name, ms]) => (
          <Button key={name} size="compact-sm" variant="subtle" onClick={() => go(new Date(Date.now() - ms).toISOString())}>
            {name}
          </Button>
        ))}
      </form>
      {at === "" ? <p className="dim">Name a frame of the log or an instant.</p> : <AsOf key={at} at={at} status={search.status ?? ""} go={go} />}
    </section>
  );
}

function AsOf({ at, status, go }: { at: string; status: string; go: (at: string) => void }) {
  const queue = useInfiniteQuery({ ...queries.queueAsOf(at, status), retry: false });
  const workers = useQuery(queries.workersAsOf(at));
  const first = queue.data?.pages[0];
  const jobs = queue.data?.pages.flatMap((page) => page.jobs) ?? [];
  if (queue.error) return <Trouble error={queue.error} />;
  if (!first) return <p>Loading…</p>;
  const n = Number(first.n);
  return (
    <>
      <p className="row" role="status">
        <Button size="compact-sm" variant="default" disabled={n <= 1} onClick={() => go(String(n - 1))}>
          ← frame before
        </Button>
        <b>Frame {n}</b> <When at={first.at} exact />
        <Button size="compact-sm" variant="default" onClick={() => go(String(n + 1))}>
          frame after →
        </Button>
        {Object.entries(first.states).map(([state, count]) => (
          <span key={state}>
            <State state={state} /> {count.toLocaleString()}
          </span>
        ))}
        {Object.entries(first.waiting).map(([code, count]) => (
          <span key={code} className="dim">
            {count.toLocaleString()} {reason(code)}
          </span>
        ))}
      </p>
      <h2>Open jobs</h2>
      {jobs.length === 0 && <p className="dim">None that you see.</p>}
      {jobs.length > 0 && (
        <table className="plain">
          <thead>
            <tr>
              <th>Job</th>
              <th>State</th>
              <th>Why</th>
              <th>Module</th>
              <th>Owner</th>
              <th>Worker</th>
              <th>Submitted</th>
            </tr>
          </thead>
          <tbody>
            {jobs.map((job) => (
              <tr key={job.id}>
                <td>
                  <JobLink id={job.id} />
                </td>
                <td>
                  <State state={job.state} />
                </td>
                <td>{job.waiting_code && reason(job.waiting_code)}</td>
                <td className="theirs">{job.module}</td>
                <td className="theirs">{job.user_id}</td>
                <td className="theirs mono">{job.worker_id ?? "–"}</td>
                <td>
                  <When at={job.created_at} exact />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <More list={queue} />
      <h2>Workers</h2>
      {workers.error && <Trouble error={workers.error} />}
      {workers.data?.workers.length === 0 && <p className="dim">None.</p>}
      {(workers.data?.workers.length ?? 0) > 0 && (
        <table className="plain">
          <thead>
            <tr>
              <th>Worker</th>
              <th>State</th>
              <th>Offers</th>
              <th>Runs</th>
            </tr>
          </thead>
          <tbody>
            {workers.data?.workers.map((worker) => (
              <tr key={worker.worker_id}>
                <td className="theirs mono">{worker.worker_id}</td>
                <td>{worker.state}</td>
                <td>
                  {worker.capacity.slots} slots, {worker.capacity.cpu} cores, {worker.capacity.mem_mb} MiB
                </td>
                <td>
                  {worker.running.slice(0, 5).map(({ job_id }) => (
                    <div key={job_id}>
                      <JobLink id={job_id} />
                    </div>
                  ))}
                  {worker.running.length > 5 && `and ${worker.running.length - 5} more`}
                  {worker.running.length === 0 && "–"}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
