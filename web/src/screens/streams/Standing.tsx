import { useQuery } from "@tanstack/react-query";
import type { System, SystemSegment, SystemStream } from "../../api/schema";
import { queries } from "../../api/queries";
import { useLive } from "../../live/LiveMark";
import { Trouble } from "../../parts/Trouble";
import { bytes, span } from "../../words/times";
import { figures, READERS } from "./figures";

const EVERY_MS = 5000;

/** How far everybody has read, what the log keeps, and which part is not well. */
export function Standing() {
  const paused = useLive().state === "paused";
  const refetchInterval = paused ? false : EVERY_MS;
  const system = useQuery({ ...queries.system(), refetchInterval: ({ state }) => (state.error ? false : refetchInterval) });
  const ready = useQuery({ ...queries.ready(), refetchInterval });
  return (
    <>
      {system.data && <SystemFigures system={system.data} />}
      {system.error && <Metrics refetchInterval={refetchInterval} />}
      <h2>Parts</h2>
      {ready.error && <Trouble error={ready.error} />}
      <table className="plain">
        <tbody>
          {Object.entries(ready.data?.parts ?? {}).map(([name, { status, reason }]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>
                <span className="state" data-state={status === "ok" ? "succeeded" : "failed"}>
                  {status === "ok" ? "✓" : "✕"} {status}
                </span>
              </td>
              <td className="theirs">{reason}</td>
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

const frames = (segment: SystemSegment | null) => (segment ? `${segment.n_first.toLocaleString()} to ${segment.n_last.toLocaleString()}` : "none yet");

function SystemFigures({ system: { projection, streams, readers, archive, troubles } }: { system: System }) {
  return (
    <>
      <div className="cards">
        <Card name="rows behind the log" value={`${projection.lag_frames.toLocaleString()} frames, ${span(projection.lag_s)}`} />
        <Card name="rows have frame" value={projection.n?.toLocaleString() ?? null} />
        <Card name="archive" value={archive && `${archive.segments.toLocaleString()} segments, ${bytes(archive.bytes)}`} />
        <Card name="frames in its oldest" value={archive && frames(archive.oldest)} />
        <Card name="frames in its newest" value={archive && frames(archive.newest)} />
      </div>
      {troubles.map(({ part, detail }) => (
        <p key={part} className="problem theirs">
          <b>{part}</b>: {detail}
        </p>
      ))}
      <h2>Readers of the log</h2>
      <table className="plain">
        <thead>
          <tr>
            <th>Reader</th>
            <th className="number">Has read up to frame</th>
            <th className="number">Frames behind</th>
          </tr>
        </thead>
        <tbody>
          {(readers ?? []).map(({ name, n, lag_frames }) => (
            <tr key={name} data-reader={name}>
              <th scope="row">{name}</th>
              <td className="number">{n?.toLocaleString() ?? "another log"}</td>
              <td className="number">{lag_frames?.toLocaleString() ?? "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <h2>Streams</h2>
      <table className="plain">
        <thead>
          <tr>
            <th>Stream</th>
            <th className="number">Messages</th>
            <th className="number">Size</th>
            <th>Of its limit</th>
            <th className="number">First</th>
            <th className="number">Last</th>
          </tr>
        </thead>
        <tbody>
          {streams.map((stream) => (
            <tr key={stream.name} data-stream={stream.name}>
              <th scope="row" className="mono">{stream.name}</th>
              <td className="number">{stream.messages?.toLocaleString() ?? "–"}</td>
              <td className="number">{stream.bytes === undefined ? "–" : bytes(stream.bytes)}</td>
              <td>
                <Share stream={stream} />
              </td>
              <td className="number">{stream.first_seq?.toLocaleString() ?? "–"}</td>
              <td className="number">{stream.last_seq?.toLocaleString() ?? "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

/** From so much of its limit on, new work is refused, as docs/API.md says of `storage_full`. */
const FULL = 0.8;

function Share({ stream: { name, bytes: size, bytes_max: most } }: { stream: SystemStream }) {
  if (size === undefined) return <>not known</>;
  if (!most) return <>no limit</>;
  return (
    <>
      <meter aria-label={`${name} of its limit`} min={0} max={most} high={most * FULL} value={size} /> {((size / most) * 100).toFixed(1)} % of {bytes(most)}
    </>
  );
}

/** For whoever may not ask for the system's figures: those of this process alone. */
function Metrics({ refetchInterval }: { refetchInterval: number | false }) {
  const metrics = useQuery({ ...queries.metrics(), refetchInterval });
  const known = figures(metrics.data ?? "");
  const readers = READERS.filter(({ name }) => known.has(name));
  const count = (name: string) => known.get(name)?.toLocaleString() ?? null;
  return (
    <>
      <div className="cards">
        <Card name="first frame in the stream" value={count("nox_log_first_n")} />
        <Card name="in the archive up to frame" value={count("nox_log_archived_n")} />
        <Card name="parked entries" value={count("nox_jobs_parked")} />
      </div>
      {metrics.error && <Trouble error={metrics.error} />}
      <h2>Readers of the log</h2>
      <table className="plain">
        <tbody>
          {readers.map(({ reads, name, unit }) => (
            <tr key={name} data-reader={name}>
              <th scope="row">{reads}</th>
              <td className="number">{count(name)}</td>
              <td>{unit} behind</td>
              <td className="dim mono">{name}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="dim">Of this process; operators see the streams and the archive as well.</p>
    </>
  );
}

function Card({ name, value }: { name: string; value: string | null }) {
  return (
    <div className="card">
      <span className="dim">{name}</span>
      <b>{value ?? "–"}</b>
    </div>
  );
}
