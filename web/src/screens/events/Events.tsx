import { Button } from "@mantine/core";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { Fragment, useEffect, useMemo, useState } from "react";
import { live, type Heard } from "../../live/connection";
import { useLive } from "../../live/LiveMark";
import { saveLines } from "../../parts/save";
import { JobLink, Json, When } from "../../parts/Shown";

const route = getRouteApi("/live");

/** So many of the newest are kept on the page; the log has all. */
const KEPT_MAX = 2000;
/** And so many are in the table. */
const SHOWN_MAX = 200;

/** What happens, as it happens: of all that the asker may see. */
export function Events() {
  const { type = "" } = route.useSearch();
  const navigate = useNavigate();
  const { state } = useLive();
  const [events, setEvents] = useState<Heard[]>([]);
  const [open, setOpen] = useState("");
  useEffect(() => live.take((heard) => setEvents((before) => [...heard.toReversed(), ...before].slice(0, KEPT_MAX))), []);
  const shown = useMemo(() => events.filter((event) => event.type.includes(type)).slice(0, SHOWN_MAX), [events, type]);

  return (
    <>
      <div className="row">
        <h1>Live events</h1>
        <input
          data-search
          aria-label="Type"
          placeholder="type, for example job.failed ( / )"
          defaultValue={type}
          onChange={(event) => void navigate({ to: "/live", search: event.currentTarget.value ? { type: event.currentTarget.value } : {}, replace: true })}
        />
        <span className="grow" />
        <Button size="compact-sm" variant="default" disabled={events.length === 0} onClick={() => saveLines("events.jsonl", events.toReversed())}>
          Save as JSONL
        </Button>
      </div>
      {shown.length === 0 && <p className="dim">{state === "live" ? "Nothing yet since this page was opened." : "Not following."}</p>}
      <table className="plain">
        <tbody>
          {shown.map((event) => (
            <Fragment key={event.id}>
              <tr>
                <td className="mono">{event.id}</td>
                <td>
                  <When at={event.time} exact />
                </td>
                <td>
                  <button type="button" className="plain-button" aria-expanded={open === event.id} onClick={() => setOpen(open === event.id ? "" : event.id)}>
                    {event.type.replace(/^nox\.|\.v1$/g, "")}
                  </button>
                </td>
                <td className="theirs">{event.type.startsWith("nox.job.") ? <JobLink id={event.subject} /> : event.subject}</td>
              </tr>
              {open === event.id && (
                <tr>
                  <td colSpan={4}>
                    <Json value={event} label={`event ${event.id}`} />
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
