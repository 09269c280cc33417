import type { JobStats, Quantiles } from "../../api/schema";
import { useChoices } from "../../app/store";
import { instant, span } from "../../words/times";

/** What was submitted and what ended, a bar each part of the span; how long jobs waited and ran. */
export function Throughput({ stats }: { stats: JobStats }) {
  const { zone } = useChoices();
  const most = Math.max(1, ...stats.parts.map((part) => Math.max(part.submitted, part.succeeded + part.failed + part.canceled)));
  const more = stats.is_exact ? "" : "+";
  const said = `${stats.submitted}${more} submitted, ${stats.succeeded}${more} succeeded, ${stats.failed}${more} failed, ${stats.canceled}${more} canceled`;
  return (
    <section>
      <p role="status">{said}</p>
      <div className="bars" role="img" aria-label={`${said}, in parts of ${span(stats.part_s)}; ${most} at most in one`}>
        {stats.parts.map((part) => (
          <span key={part.from} className="part" title={`${instant(part.from, zone)}: ${part.submitted} submitted, ${part.succeeded} succeeded, ${part.failed} failed, ${part.canceled} canceled`}>
            {(["failed", "canceled", "succeeded"] as const).map((state) => (
              <i key={state} data-state={state} style={{ height: `${(part[state] / most) * 100}%` }} />
            ))}
            <b style={{ bottom: `${(part.submitted / most) * 100}%` }} data-none={part.submitted === 0 || undefined} />
          </span>
        ))}
      </div>
      <p className="dim">
        Bars: what ended, <i className="key" data-state="succeeded" /> succeeded, <i className="key" data-state="failed" /> failed, <i className="key" data-state="canceled" /> canceled; lines: what was submitted.
      </p>
      <table className="plain times">
        <thead>
          <tr>
            <th />
            <th className="number">half within</th>
            <th className="number">95 % within</th>
            <th className="number">all within</th>
          </tr>
        </thead>
        <tbody>
          <Times name="waited" spread={stats.wait_s} />
          <Times name="ran" spread={stats.run_s} />
        </tbody>
      </table>
    </section>
  );
}

function Times({ name, spread }: { name: string; spread: Quantiles }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      {[spread.p50, spread.p95, spread.max].map((value, place) => (
        <td key={place} className="number">
          {value === null ? "–" : span(value)}
        </td>
      ))}
    </tr>
  );
}
