import { useState } from "react";
import type { Filter } from "../../api/queries";

const KEY = "nox.views";
type View = { name: string; filter: Filter };

const FIRST: View[] = [
  { name: "Failed", filter: { status: "failed" } },
  { name: "Waiting", filter: { status: "queued" } },
];

function read(): View[] {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "null") as View[] | null ?? FIRST;
  } catch {
    return FIRST;
  }
}

/** Filters under names, kept in this browser. */
export function Views({ filter, choose }: { filter: Filter; choose: (filter: Filter) => void }) {
  const [views, setViews] = useState(read);
  function keep(next: View[]) {
    localStorage.setItem(KEY, JSON.stringify(next));
    setViews(next);
  }
  function add() {
    const name = prompt("Name of this view")?.slice(0, 40);
    if (name) keep([...views.filter((view) => view.name !== name), { name, filter }]);
  }
  return (
    <span className="row">
      <label className="dim">
        View{" "}
        <select
          value=""
          onChange={(event) => {
            const view = views.find(({ name }) => name === event.currentTarget.value);
            if (view) choose(view.filter);
          }}
        >
          <option value="">–</option>
          {views.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <button type="button" className="plain-button" onClick={add}>
        Save view
      </button>
    </span>
  );
}
