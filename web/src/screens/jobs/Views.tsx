import { Button, TextInput } from "@mantine/core";
import { useState } from "react";
import type { Filter } from "../../api/queries";
import { Dialog } from "../../parts/Dialog";
import { Pick } from "../../parts/Pick";
import { write } from "./query";

const KEY = "nox.views";
const NAME_LETTERS_MAX = 40;
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
  const [open, setOpen] = useState(false);
  const [name, setName] = useState("");
  function keep(next: View[]) {
    localStorage.setItem(KEY, JSON.stringify(next));
    setViews(next);
  }
  return (
    <span className="row">
      <label className="dim">
        View{" "}
        <Pick
          picked={(name) => {
            const view = views.find((each) => each.name === name);
            if (view) choose(view.filter);
          }}
        >
          <option value="">–</option>
          {views.map((view) => (
            <option key={view.name}>{view.name}</option>
          ))}
        </Pick>
      </label>
      <button type="button" className="plain-button" onClick={() => setOpen(true)}>
        Views…
      </button>
      <Dialog open={open} onClose={() => setOpen(false)} title="Views in this browser">
        <form
          className="row"
          onSubmit={(event) => {
            event.preventDefault();
            keep([...views.filter((view) => view.name !== name.trim()), { name: name.trim(), filter }]);
            setName("");
          }}
        >
          <TextInput label="Name of what is chosen now" description={write(filter) || "all jobs"} maxLength={NAME_LETTERS_MAX} value={name} onChange={(event) => setName(event.currentTarget.value)} />
          <Button type="submit" size="compact-sm" disabled={name.trim() === ""}>
            Save view
          </Button>
        </form>
        <table className="plain">
          <tbody>
            {views.map((view) => (
              <tr key={view.name}>
                <th scope="row" className="theirs">{view.name}</th>
                <td className="mono theirs">{write(view.filter) || "all jobs"}</td>
                <td>
                  <button type="button" className="plain-button" aria-label={`Forget ${view.name}`} onClick={() => keep(views.filter((each) => each !== view))}>
                    ✕
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Dialog>
    </span>
  );
}
