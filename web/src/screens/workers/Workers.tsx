import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { queries } from "../../api/queries";
import { useMay } from "../../app/may";
import { useLive } from "../../live/LiveMark";
import { Act } from "../../parts/Act";
import { JobLink, When } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";

const route = getRouteApi("/workers");
const EVERY_MS = 10_000;

/** Who runs jobs. */
export function Workers() {
  const { state = "" } = route.useSearch();
  const navigate = useNavigate();
  const paused = useLive().state === "paused";
  const workers = useQuery({ ...queries.workers(state), refetchInterval: paused ? false : EVERY_MS });
  const me = useQuery(queries.me());
  const may = useMay();
  const operator = me.data?.is_admin && me.data.tenant === "default" && may("drain_worker");
  return (
    <>
      <div className="row">
        <h1>Workers</h1>
        <label className="dim">
          State{" "}
          <select value={state} onChange={(event) => void navigate({ to: "/workers", search: event.currentTarget.value ? { state: event.currentTarget.value } : {} })}>
            <option value="">those that are there</option>
            {["joined", "drained", "draining", "paused", "left", "lost"].map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
      </div>
      {workers.error && <Trouble error={workers.error} />}
      {workers.data?.workers.length === 0 && <p>None.</p>}
      <table className="plain">
        <thead>
          <tr>
            <th>Worker</th>
            <th>State</th>
            <th>Offers</th>
            <th>Serves</th>
            <th>Runs</th>
            <th>Heard of</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {workers.data?.workers.map((worker) => (
            <tr key={worker.worker_id}>
              <td className="theirs mono">{worker.worker_id}</td>
              <td>
                {worker.state}
                {worker.drained_by && <span className="dim theirs"> by {worker.drained_by}</span>}
              </td>
              <td>
                {worker.capacity.slots} slots, {worker.capacity.cpu} cores, {worker.capacity.mem_mb} MiB
                <div className="dim theirs">{worker.labels.join(" ")}</div>
              </td>
              <td className="theirs">{worker.modules.map(({ name, version }) => `${name} ${version}`).join(", ")}</td>
              <td>
                {worker.running.slice(0, 5).map(({ job_id }) => (
                  <div key={job_id}>
                    <JobLink id={job_id} />
                  </div>
                ))}
                {worker.running.length > 5 && `and ${worker.running.length - 5} more`}
                {worker.running_jobs != null && <span className="dim">{worker.running_jobs} in all</span>}
              </td>
              <td>
                <When at={worker.last_seen_at} />
              </td>
              <td>
                {operator && (
                  <Act
                    name={worker.drained_by ? "Undrain" : "Drain"}
                    harmless={!!worker.drained_by}
                    says={worker.drained_by ? "It is given work again." : `${worker.worker_id} is given no more work, in this session and later ones, and ends what it has: ${worker.running_jobs ?? worker.running.length} jobs now.`}
                    path={`/workers/${encodeURIComponent(worker.worker_id)}/${worker.drained_by ? "undrain" : "drain"}`}
                    stale={["workers"]}
                  />
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
