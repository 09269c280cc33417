import { useQuery } from "@tanstack/react-query";
import { queries } from "../../api/queries";
import { useLive } from "../../live/LiveMark";
import { Trouble } from "../../parts/Trouble";
import { figures, READERS } from "./figures";

const EVERY_MS = 3000;

/** How far everybody has read, what the log keeps, and which part is not well. */
export function Standing() {
  const paused = useLive().state === "paused";
  const refetchInterval = paused ? false : EVERY_MS;
  const ready = useQuery({ ...queries.ready(), refetchInterval });
  const metrics = useQuery({ ...queries.metrics(), refetchInterval });
  const known = figures(metrics.data ?? "");
  const value = (name: string) => known.get(name);
  const readers = READERS.filter(({ name }) => value(name) !== undefined);
  return (
    <>
      <div className="cards">
        <Card name="first frame in the stream" value={value("nox_log_first_n")} />
        <Card name="in the archive up to frame" value={value("nox_log_archived_n")} />
        <Card name="frames since the leader began" value={value("nox_scheduler_frames_total")} />
        <Card name="entries in them" value={value("nox_scheduler_entries_total")} />
        <Card name="parked entries" value={value("nox_jobs_parked")} bad />
        <Card name="archive fails" value={value("nox_log_archive_failing")} bad />
      </div>
      {metrics.error && <Trouble error={metrics.error} />}
      <h2>Readers of the log</h2>
      <table className="plain">
        <tbody>
          {readers.map(({ reads, name, unit }) => (
            <tr key={name} data-figure={name}>
              <th scope="row">{reads}</th>
              <td className="number">{value(name)?.toLocaleString()}</td>
              <td>{unit} behind</td>
              <td className="dim mono">{name}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {metrics.isSuccess && readers.length < READERS.length && (
        <p className="dim">Services that run by themselves tell their own figures at their own NOX_ADMIN_ADDR.</p>
      )}
      <h2>Parts</h2>
      {ready.error && <Trouble error={ready.error} />}
      <table className="plain">
        <tbody>
          {Object.entries(ready.data?.parts ?? {}).map(([name, { status, detail }]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>
                <span className="state" data-state={status === "ok" ? "succeeded" : "failed"}>
                  {status === "ok" ? "✓" : "✕"} {status}
                </span>
              </td>
              <td className="theirs">{detail}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <details>
        <summary>What the parts say of themselves</summary>
        <table className="plain">
          <tbody>
            {Object.entries(ready.data?.notes ?? {}).map(([name, text]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td className="theirs">{text}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </>
  );
}

function Card({ name, value, bad }: { name: string; value: number | undefined; bad?: boolean }) {
  return (
    <div className="card">
      <span className="dim">{name}</span>
      <b>
        {value === undefined ? "–" : bad && value > 0 ? <span className="state" data-state="failed">✕ {value.toLocaleString()}</span> : value.toLocaleString()}
      </b>
    </div>
  );
}
