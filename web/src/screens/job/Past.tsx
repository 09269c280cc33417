import { Slider } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo } from "react";
import { stringify } from "../../api/exact";
import { queries } from "../../api/queries";
import { typing } from "../../app/Keys";
import { State, When } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";
import { names } from "./Entries";

/** The job as it was after each frame that is about it. The server folds it from the log; nothing is guessed here. */
export default function Past({ id, frame: named, show }: { id: string; frame: string | undefined; show: (frame: string) => void }) {
  const events = useQuery(queries.events(id));
  const frames = useMemo(() => {
    const found = new Map<number, { n: number; at: string; facts: string[] }>();
    for (const entry of events.data?.entries ?? []) {
      const frame = found.get(entry.n) ?? { n: entry.n, at: entry.at, facts: [] };
      frame.facts.push(...names(entry));
      found.set(entry.n, frame);
    }
    return [...found.values()];
  }, [events.data]);
  const last = frames.length - 1;
  // The address names a frame, so that what is shown can be sent to somebody.
  const found = frames.findIndex(({ n }) => String(n) === named);
  const place = found < 0 ? last : found;
  const setAt = useCallback((next: number) => show(String(frames[next]?.n ?? "")), [frames, show]);
  const frame = frames[place];
  const before = frames[place - 1];

  useEffect(() => {
    function pressed(event: KeyboardEvent) {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step === undefined || typing(event) || (event.target as HTMLElement).closest("[role=slider],[role=tab]")) return;
      setAt(Math.min(Math.max(place + step, 0), last));
      event.preventDefault();
    }
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [place, last, setAt]);

  const now = useQuery({ ...queries.jobAsOf(id, frame?.n ?? 0), enabled: frame !== undefined, placeholderData: keepPreviousData });
  const then = useQuery({ ...queries.jobAsOf(id, before?.n ?? 0), enabled: before !== undefined });
  if (events.error) return <Trouble error={events.error} />;
  if (!frame) return <p>Loading…</p>;
  const earlier = (before && then.data ? then.data : {}) as Record<string, unknown>;
  const members = Object.entries(now.data ?? {});
  return (
    <section>
      <p className="row">
        <b>Frame {frame.n}</b> <When at={frame.at} exact /> <span className="dim">{frame.facts.join(", ")}</span>
        <span className="grow" />
        <span className="dim">
          {place + 1} of {frames.length}; <kbd>←</kbd> <kbd>→</kbd>
        </span>
      </p>
      <Slider
        value={place}
        onChange={setAt}
        min={0}
        max={Math.max(last, 1)}
        step={1}
        label={(value) => `frame ${frames[value]?.n ?? ""}`}
        thumbLabel="Frame of the log"
        marks={frames.length <= 60 ? frames.map((_, value) => ({ value })) : []}
        mb="md"
      />
      {now.error && <Trouble error={now.error} />}
      {now.data && (
        <>
          <p>
            <State state={now.data.state} />
          </p>
          <table className="plain">
            <tbody>
              {members.map(([name, value]) => {
                const text = stringify(value, 2);
                const changed = before !== undefined && then.data !== undefined && stringify(earlier[name]) !== stringify(value);
                return (
                  <tr key={name} data-changed={changed || undefined}>
                    <th scope="row">
                      {name}
                      {changed && <span className="dim"> changed</span>}
                    </th>
                    <td className="mono theirs past">{text.length > 2000 ? `${text.slice(0, 2000)}…` : text}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </>
      )}
    </section>
  );
}
