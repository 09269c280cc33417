import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { Facet } from "../../api/schema";
import { queries, type Filter, type Row } from "../../api/queries";
import { Pick } from "../../parts/Pick";
import { reason, REASONS } from "../../words/reasons";
import { SIGNS, STATES } from "../../words/states";
import { counted, useCounts } from "./counts";
import { has, toggled } from "./query";

type Props = { filter: Filter; choose: (filter: Filter) => void };

/** So many names of labels are facets: those that most of the rows in sight have. */
const LABELS_MAX = 3;

const SINCE: [name: string, ms: number][] = [
  ["the last hour", 3_600_000],
  ["the last day", 86_400_000],
  ["the last week", 604_800_000],
];

/** What can be chosen by a click, with how many jobs each choice would give. */
export function Facets({ filter, choose, rows }: Props & { rows: Row[] }) {
  const labels = useLabels(rows);
  const counts = useCounts(filter, ["status", "module", "user_id", "waiting", "error_code", ...labels.map((name) => `label.${name}`)].join(","));
  const by = counts.data?.by ?? {};
  // A server that does not count is asked what there is.
  const modules = useQuery({ ...queries.modules(), enabled: counts.isError });
  return (
    <div className="facets">
      <div className="row" role="group" aria-label="States">
        {STATES.map((state) => {
          const count = by.status?.values.find(({ value }) => value === state) ?? (by.status && { count: 0, is_exact: by.status.is_exact });
          return (
            <button
              key={state}
              type="button"
              className="facet"
              aria-pressed={has(filter, "status", state)}
              onClick={() => choose(toggled(filter, "status", state))}
            >
              <span className="state" data-state={state}>
                <span aria-hidden>{SIGNS[state]}</span> {state}
              </span>{" "}
              {count && <span className="dim">{counted(count)}</span>}
            </button>
          );
        })}
        {counts.data && (
          <span className="dim" role="status">
            {counted(counts.data)} chosen
          </span>
        )}
      </div>
      <div className="row">
        <Choice label="Module" name="module" facet={by.module} otherwise={modules.data?.modules.map(({ name }) => name)} filter={filter} choose={choose} />
        <Choice label="Owner" name="user_id" facet={by.user_id} filter={filter} choose={choose} />
        <Choice label="Waits for" name="waiting" facet={by.waiting} otherwise={counts.isError ? Object.keys(REASONS) : undefined} filter={filter} choose={choose} said={reason} />
        <Choice label="Error" name="error_code" facet={by.error_code} filter={filter} choose={choose} />
        {labels.map((name) => (
          <Choice key={name} label={name} name="label" prefix={`${name}=`} facet={by[`label.${name}`]} filter={filter} choose={choose} />
        ))}
        <label className="dim">
          Submitted{" "}
          <Pick picked={(ms) => choose({ ...filter, created_after: new Date(Date.now() - Number(ms)).toISOString() })}>
            <option value="">whenever</option>
            {SINCE.map(([name, ms]) => (
              <option key={name} value={ms}>
                within {name}
              </option>
            ))}
          </Pick>
        </label>
        {Object.entries(filter)
          .filter(([name]) => name !== "sort")
          .map(([name, value]) => (
            <button
              key={name}
              type="button"
              className="facet"
              aria-label={`Remove ${name}=${value}`}
              onClick={() => {
                const { [name]: _, ...rest } = filter;
                choose(rest);
              }}
            >
              <span className="theirs">
                {name}={value}
              </span>{" "}
              ✕
            </button>
          ))}
      </div>
    </div>
  );
}

type ChoiceProps = Props & { label: string; name: string; prefix?: string; facet: Facet | undefined; otherwise?: string[] | undefined; said?: (value: string) => string };

function Choice({ label, name, prefix = "", facet, otherwise, filter, choose, said = (value) => value }: ChoiceProps) {
  const known = facet?.values.flatMap(({ value, ...count }) => (value === null ? [] : [{ value, says: ` (${counted(count)})` }]));
  const values = known ?? otherwise?.map((value) => ({ value, says: "" })) ?? [];
  if (values.length === 0) return null;
  return (
    <label className="dim theirs">
      {label}{" "}
      <Pick picked={(value) => choose(toggled(filter, name, prefix + value))}>
        <option value="">any</option>
        {values.map(({ value, says }) => (
          <option key={value} value={value}>
            {`${has(filter, name, prefix + value) ? "✓ " : ""}${said(value).slice(0, 60)}${says}`}
          </option>
        ))}
        {(facet?.others ?? 0) > 0 && <option disabled>{facet?.others.toLocaleString()} jobs of others</option>}
      </Pick>
    </label>
  );
}

function useLabels(rows: Row[]): string[] {
  const names = useMemo(() => {
    const found = new Map<string, number>();
    for (const { labels } of rows) for (const name of Object.keys(labels ?? {})) found.set(name, (found.get(name) ?? 0) + 1);
    return [...found].sort(([, one], [, other]) => other - one).slice(0, LABELS_MAX).map(([name]) => name).sort().join(" ");
  }, [rows]);
  return useMemo(() => (names === "" ? [] : names.split(" ")), [names]);
}
