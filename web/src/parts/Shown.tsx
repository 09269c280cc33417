/** Small things that stand in many places: a state, an instant, a name of somebody's, JSON. */
import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { stringify } from "../api/exact";
import { useNow } from "../app/clock";
import { useChoices } from "../app/store";
import { SIGNS } from "../words/states";
import { ago, between, instant, span } from "../words/times";

export function State({ state, status }: { state: string; status?: string }) {
  return (
    <span className="state" data-state={state}>
      <span aria-hidden>{SIGNS[state] ?? "?"}</span> {status ?? state}
    </span>
  );
}

/** How long ago; exactly when, in both zones, when pointed at. */
export function When({ at, exact }: { at: string | null | undefined; exact?: boolean }) {
  const { zone } = useChoices();
  const now = useNow();
  if (!at) return <span className="dim">–</span>;
  const both = `${instant(at, "local")} local\n${instant(at, "utc")}`;
  return (
    <time dateTime={at} title={both}>
      {exact ? instant(at, zone) : ago(at, now)}
    </time>
  );
}

export function Lasted({ from, to, running }: { from: string | null | undefined; to: string | null | undefined; running?: boolean }) {
  const now = useNow();
  if (!from || (!to && !running)) return <span className="dim">–</span>;
  return <>{span(between(from, to, now))}</>;
}

/** The end of an id tells jobs apart that were made at one time; the whole is in the title. */
export function JobLink({ id, short = true }: { id: string; short?: boolean }) {
  return (
    <Link to="/jobs/$id" params={{ id }} search={{}} className="mono" title={id}>
      {short ? `…${id.slice(-12)}` : id}
    </Link>
  );
}

/** What the page shows of one document; more is downloaded. */
const JSON_LETTERS_MAX = 200_000;

export function Json({ value, label }: { value: unknown; label: string }) {
  const text = stringify(value, 2);
  return (
    <div>
      <div className="row">
        <Copy text={text} what={label} />
        {text.length > JSON_LETTERS_MAX && <span className="dim">the first {JSON_LETTERS_MAX} of {text.length} letters; copy has all</span>}
      </div>
      <pre className="json mono theirs" tabIndex={0} aria-label={label}>
        {text.slice(0, JSON_LETTERS_MAX)}
      </pre>
    </div>
  );
}

/** For so long a button says that it has copied. */
const SAID_MS = 1500;

export function Copy({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), SAID_MS);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <button type="button" className="plain-button" onClick={() => void copied(text).then(() => setDone(true))}>
      {done ? "Copied" : "Copy"} {what}
    </button>
  );
}

/** Browsers have a clipboard for pages that come by https or from this machine alone; others copy what is selected. */
async function copied(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");
  field.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
