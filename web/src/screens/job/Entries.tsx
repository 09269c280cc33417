import { useQuery } from "@tanstack/react-query";
import { Fragment, useState } from "react";
import { queries, type Entry } from "../../api/queries";
import { Json, When } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";

/** What the log says of the job, entry by entry, each as it was written. */
export function Entries({ id }: { id: string }) {
  const events = useQuery(queries.events(id));
  const [open, setOpen] = useState<number | null>(null);
  if (events.error) return <Trouble error={events.error} />;
  if (!events.data) return <p>Loading…</p>;
  return (
    <>
      {!events.data.complete && <p className="problem">There are more entries than are shown here; noxctl job events prints all.</p>}
      <table className="plain">
        <thead>
          <tr>
            <th>Frame</th>
            <th>At</th>
            <th>Caused by</th>
            <th>Facts</th>
          </tr>
        </thead>
        <tbody>
          {events.data.entries.map((entry, place) => (
            <Fragment key={place}>
              <tr>
                <td className="mono">{entry.n}</td>
                <td>
                  <When at={entry.at} exact />
                </td>
                <td>{String(entry.by.src ?? "")}</td>
                <td>
                  <button type="button" className="plain-button" aria-expanded={open === place} onClick={() => setOpen(open === place ? null : place)}>
                    {names(entry).join(", ")}
                  </button>
                </td>
              </tr>
              {open === place && (
                <tr>
                  <td colSpan={4}>
                    <Json value={entry} label={`entry of frame ${entry.n}`} />
                  </td>
                </tr>
              )}
            </Fragment>
          ))}
        </tbody>
      </table>
    </>
  );
}

/** A fact is a word, or an object with that word as its one member. */
export const names = (entry: Entry): string[] =>
  entry.facts.map((fact) => (typeof fact === "string" ? fact : (Object.keys(fact as object)[0] ?? "?")));
