import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import type { Facet, FacetValue } from "../../api/schema";
import { queries, type Row } from "../../api/queries";
import { useLive } from "../../live/LiveMark";
import { JobLink, State, When } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";
import { reason } from "../../words/reasons";
import { SIGNS, STATES } from "../../words/states";
import { span } from "../../words/times";
import { counted, useCounts } from "../jobs/counts";
import "./overview.css";
import { Throughput } from "./Throughput";

const route = getRouteApi("/overview");

const HEALTH_EVERY_MS = 5000;
const STATS_EVERY_MS = 10_000;

const SPANS: Record<string, number> = { "15 minutes": 900, hour: 3600, day: 86_400, week: 604_800 };
const PARTS = 60;

/** What needs somebody first: failures, then what waits and why, then how it goes. */
export function Overview() {
  const search = route.useSearch() as Record<string, string>;
  const navigate = useNavigate();
  const paused = useLive().state === "paused";
  const within = search.within !== undefined && search.within in SPANS ? search.within : "hour";
  const failed = useQuery(queries.few({ status: "failed" }, 10));
  const health = useQuery({ ...queries.health(), refetchInterval: paused ? false : HEALTH_EVERY_MS });
  const counts = useCounts({}, "status,waiting");
  const failures = useCounts({ status: "failed" }, "module,error_code");
  const stats = useQuery({
    ...queries.stats(SPANS[within] ?? 3600, PARTS),
    refetchInterval: ({ state }) => (paused || state.error ? false : STATS_EVERY_MS),
    placeholderData: keepPreviousData,
  });
  const jobs = health.data?.jobs as { view_lag_frames?: number; view_lag_s?: number } | undefined;
  return (
    <>
      <h1>Overview</h1>
      <div className="cards">
        {STATES.map((state) => {
          const states = counts.data?.by.status;
          const count = states?.values.find(({ value }) => value === state) ?? (states && { count: 0, is_exact: states.is_exact });
          return (
            <Link key={state} to="/jobs" search={{ status: state }} className="card">
              <span className="state" data-state={state}>
                <span aria-hidden>{SIGNS[state]}</span> {state}
              </span>
              <b>{count ? counted(count) : "–"}</b>
            </Link>
          );
        })}
        <div className="card">
          <span className="dim">view behind the log</span>
          <b data-testid="lag">
            {jobs ? `${jobs.view_lag_frames ?? "?"} frames` : "–"}
            {jobs?.view_lag_s !== undefined && `, ${span(jobs.view_lag_s)}`}
          </b>
        </div>
      </div>
      {health.error && <Trouble error={health.error} />}
      <h2>
        Failed last <Link to="/jobs" search={{ status: "failed" }}>all</Link>
      </h2>
      {failed.error ? <Trouble error={failed.error} /> : <Failures rows={failed.data ?? []} />}
      <div className="row">
        <Most name="By module" facet={failures.data?.by.module} search={(value) => ({ status: "failed", module: value })} />
        <Most name="By error" facet={failures.data?.by.error_code} search={(value) => ({ status: "failed", error_code: value })} />
      </div>
      <h2>Waiting</h2>
      <Waiting facet={counts.data?.by.waiting} />
      <div className="row">
        <h2>Throughput</h2>
        <label className="dim">
          of the last{" "}
          <select value={within} onChange={(event) => void navigate({ to: "/overview", search: { within: event.currentTarget.value }, replace: true })}>
            {Object.keys(SPANS).map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      </div>
      {stats.data ? <Throughput stats={stats.data} /> : <p className="dim">{stats.error ? "Not told by this server." : "Loading…"}</p>}
    </>
  );
}

/** The values that most jobs have. */
function Most({ name, facet, search }: { name: string; facet: Facet | undefined; search: (value: string) => Record<string, string> }) {
  const values = facet?.values.filter((each): each is FacetValue & { value: string } => each.value !== null && each.count > 0).slice(0, 5) ?? [];
  if (values.length === 0) return null;
  return (
    <span className="row">
      <span className="dim">{name}</span>
      {values.map((each) => (
        <Link key={each.value} to="/jobs" search={search(each.value)} className="theirs">
          {counted(each)} {each.value.slice(0, 60)}
        </Link>
      ))}
    </span>
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

function Waiting({ facet }: { facet: Facet | undefined }) {
  const values = facet?.values.filter(({ value, count }) => value !== null && count > 0) ?? [];
  if (values.length === 0) return <p className="dim">Nothing waits.</p>;
  return (
    <ul>
      {values.map((each) => (
        <li key={each.value}>
          <Link to="/jobs" search={{ status: "queued", waiting: each.value ?? "" }}>
            {counted(each)} {reason(each.value ?? "")}
          </Link>
        </li>
      ))}
    </ul>
  );
}
