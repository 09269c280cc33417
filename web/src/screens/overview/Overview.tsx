import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { queries, type Row } from "../../api/queries";
import { useLive } from "../../live/LiveMark";
import { JobLink, State, When } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";
import { reason } from "../../words/reasons";
import { SIGNS, STATES } from "../../words/states";
import { between, span } from "../../words/times";
import { useCounts } from "../jobs/counts";

/** Of so many jobs that ended last, times are told. */
const SAMPLE = 200;
const HEALTH_EVERY_MS = 5000;

/** What needs somebody first: failures, then what waits and why, then how it goes. */
export function Overview() {
  const paused = useLive().state === "paused";
  const failed = useQuery(queries.few({ status: "failed" }, 10));
  const queued = useQuery(queries.few({ status: "queued" }, 100));
  const ended = useQuery(queries.few({ status: "succeeded" }, SAMPLE));
  const health = useQuery({ ...queries.health(), refetchInterval: paused ? false : HEALTH_EVERY_MS });
  const counts = useCounts({});
  return (
    <>
      <h1>Overview</h1>
      <div className="cards">
        {STATES.map((state) => {
          const count = counts.get(state);
          return (
            <Link key={state} to="/jobs" search={{ status: state }} className="card">
              <span className="state" data-state={state}>
                <span aria-hidden>{SIGNS[state]}</span> {state}
              </span>
              <b>{count ? count.count.toLocaleString() + (count.complete ? "" : "+") : "–"}</b>
            </Link>
          );
        })}
        <div className="card">
          <span className="dim">view behind the log</span>
          <b data-testid="lag">{health.data ? `${health.data.jobs.view_lag_frames ?? "?"} frames` : "–"}</b>
        </div>
      </div>
      {health.error && <Trouble error={health.error} />}
      <h2>
        Failed last <Link to="/jobs" search={{ status: "failed" }}>all</Link>
      </h2>
      {failed.error ? <Trouble error={failed.error} /> : <Failures rows={failed.data ?? []} />}
      <h2>Waiting</h2>
      {queued.error ? <Trouble error={queued.error} /> : <Waiting rows={queued.data ?? []} />}
      <h2>Times of the newest {ended.data?.length ?? SAMPLE} that succeeded</h2>
      <Times rows={ended.data ?? []} />
    </>
  );
}

function Failures({ rows }: { rows: Row[] }) {
  if (rows.length === 0) return <p className="dim">None.</p>;
  return (
    <table className="plain">
      <tbody>
        {rows.map((job) => (
          <tr key={job.id}>
            <td>
              <JobLink id={job.id} />
            </td>
            <td>
              <State state={job.state} status={job.status} />
            </td>
            <td className="theirs">{job.module}</td>
            <td className="theirs">{job.user_id}</td>
            <td>
              <When at={job.ended_at} />
            </td>
            <td className="theirs">
              {job.error?.code}: {job.error?.message.slice(0, 300)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Waiting({ rows }: { rows: Row[] }) {
  if (rows.length === 0) return <p className="dim">Nothing waits.</p>;
  const counts = new Map<string, number>();
  for (const { waiting } of rows) if (waiting) counts.set(waiting.code, (counts.get(waiting.code) ?? 0) + 1);
  return (
    <ul>
      {[...counts].map(([code, count]) => (
        <li key={code}>
          <Link to="/jobs" search={{ status: "queued", waiting: code }}>
            {count}
            {rows.length === 100 && "+"} {reason(code)}
          </Link>
        </li>
      ))}
    </ul>
  );
}

function Times({ rows }: { rows: Row[] }) {
  const of = (from: (row: Row) => string | null, to: (row: Row) => string | null) =>
    rows.flatMap((row) => {
      const [begun, done] = [from(row), to(row)];
      return begun && done ? [between(begun, done, 0)] : [];
    }).sort((one, other) => one - other);
  const waits = of((row) => row.created_at, (row) => row.started_at);
  const runs = of((row) => row.started_at, (row) => row.ended_at);
  const share = (values: number[], part: number) => {
    const value = values[Math.min(values.length - 1, Math.floor(values.length * part))];
    return value === undefined ? "–" : span(value);
  };
  return (
    <table className="plain times">
      <thead>
        <tr>
          <th />
          <th className="number">half within</th>
          <th className="number">95 % within</th>
        </tr>
      </thead>
      <tbody>
        {([["waited", waits], ["ran", runs]] as const).map(([name, values]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td className="number">{share(values, 0.5)}</td>
            <td className="number">{share(values, 0.95)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
