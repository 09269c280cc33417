import { useState } from "react";
import type { Why } from "../../api/schema";
import { useNow } from "../../app/clock";
import { When } from "../../parts/Shown";
import { reason } from "../../words/reasons";
import { ENDED } from "../../words/states";
import { between, span } from "../../words/times";

type Bar = { state: string; code: string | null; attempt: number; from: string; seconds: number; n: number; open: boolean };

/** Where the job stood, a line each: waiting split by its reason, and each attempt by itself. */
type Props = { why: Why; rows: number; stateAt: (frame: number) => void };

export function Waterfall({ why, rows, stateAt }: Props) {
  const now = useNow();
  const [collapsed, setCollapsed] = useState(false);
  const bars: Bar[] = why.history
    .filter(({ state }) => !ENDED.has(state))
    .map((stood) => ({
      state: stood.state,
      code: stood.code ?? null,
      attempt: stood.attempt,
      from: stood.from,
      seconds: stood.seconds ?? between(stood.from, stood.to, now),
      n: stood.n as number,
      open: !stood.to,
    }))
    .filter(({ seconds, open }) => seconds > 0 || open);
  // A long wait would make everything else a hair: its width may be bounded.
  const busy = bars.filter(({ state }) => state === "running").reduce((sum, { seconds }) => sum + seconds, 0);
  const most = collapsed ? Math.max(busy, 0.001) : Infinity;
  const width = (bar: Bar) => (bar.state === "running" ? bar.seconds : Math.min(bar.seconds, most));
  const total = bars.reduce((sum, bar) => sum + width(bar), 0) || 1;
  let begun = 0;
  return (
    <section>
      <div className="row">
        {why.waited.map(({ code, seconds }) => (
          <span key={code}>
            <i className="chip" data-code={code} /> {span(seconds)} {reason(code)}
          </span>
        ))}
        <span>
          <i className="chip" data-state="running" /> {span(why.ran_s)} running
        </span>
        <span className="grow" />
        <label>
          <input type="checkbox" checked={collapsed} onChange={(event) => setCollapsed(event.currentTarget.checked)} /> shorten waits
        </label>
      </div>
      <ol className="waterfall" aria-label="Waterfall">
        {bars.map((bar, place) => {
          const left = (begun / total) * 100;
          begun += width(bar);
          const text = bar.state === "running" ? `attempt ${bar.attempt}` : bar.code ? reason(bar.code) : bar.state;
          return (
            <li key={place} title={`frame ${bar.n}`}>
              <button type="button" className="plain-button what" title={`State at frame ${bar.n}`} onClick={() => stateAt(bar.n)}>
                {text}
              </button>
              <span className="track">
                <i
                  className="bar"
                  data-state={bar.state}
                  data-code={bar.code ?? undefined}
                  data-open={bar.open || undefined}
                  style={{ left: `${left}%`, width: `${(width(bar) / total) * 100}%` }}
                />
              </span>
              <span className="long">{span(bar.seconds)}</span>
              <span className="from dim">
                <When at={bar.from} exact />
              </span>
            </li>
          );
        })}
        <li>
          <span className="what">projection</span>
          <span className="theirs">{rows >= why.n ? `the rows have it all, up to frame ${why.n}` : `the rows have frame ${rows} of ${why.n}`}</span>
        </li>
      </ol>
    </section>
  );
}
