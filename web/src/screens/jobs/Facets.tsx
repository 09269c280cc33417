import { useQuery } from "@tanstack/react-query";
import { queries, type Filter } from "../../api/queries";
import { REASONS } from "../../words/reasons";
import { SIGNS, STATES } from "../../words/states";
import { useCounts } from "./counts";
import { has, toggled } from "./query";

type Props = { filter: Filter; choose: (filter: Filter) => void };

/** What can be chosen by a click. Counts obey all of the filter but the states in it. */
export function Facets({ filter, choose }: Props) {
  const counts = useCounts(filter);
  const modules = useQuery(queries.modules());
  return (
    <div className="facets">
      <div className="row" role="group" aria-label="States">
        {STATES.map((state) => {
          const count = counts.get(state);
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
              {count && <span className="dim">{count.count.toLocaleString() + (count.complete ? "" : "+")}</span>}
            </button>
          );
        })}
      </div>
      <div className="row">
        <Choice label="Module" name="module" filter={filter} choose={choose} values={modules.data?.modules.map(({ name }) => name) ?? []} />
        <Choice label="Waits for" name="waiting" filter={filter} choose={choose} values={Object.keys(REASONS)} />
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

function Choice({ label, name, values, filter, choose }: Props & { label: string; name: string; values: string[] }) {
  return (
    <label className="dim">
      {label}{" "}
      <select value="" onChange={(event) => choose(toggled(filter, name, event.currentTarget.value))}>
        <option value="">any</option>
        {values.map((value) => (
          <option key={value} value={value}>
            {has(filter, name, value) ? `✓ ${value}` : value}
          </option>
        ))}
      </select>
    </label>
  );
}
