import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { Dialog } from "../parts/Dialog";
import type { placesOf } from "./Frame";

/** How long `g` waits for its second key. */
const PAIR_MS = 1500;

/** What somebody types into is theirs. */
export function typing(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  return !!target?.closest("input, textarea, select, [contenteditable=true], openchemlib-editor, dialog[open]");
}

type Props = { places: ReturnType<typeof placesOf>; help: boolean; setHelp: (shown: boolean) => void };

export function Keys({ places, help, setHelp }: Props) {
  const navigate = useNavigate();
  const pair = useRef(0);
  useEffect(() => {
    function pressed(event: KeyboardEvent) {
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
      const second = Date.now() - pair.current < PAIR_MS;
      pair.current = 0;
      const place = second ? places.find(({ key }) => key === event.key) : undefined;
      if (place) void navigate({ to: place.to, search: {} });
      else if (event.key === "g") pair.current = Date.now();
      else if (event.key === "?") setHelp(true);
      else if (event.key === "/") document.querySelector<HTMLElement>("[data-search]")?.focus();
      else return;
      event.preventDefault();
    }
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [navigate, places, setHelp]);

  return (
    <Dialog open={help} onClose={() => setHelp(false)} title="Keys">
      <table className="plain">
        <tbody>
          <Row keys={["/"]} does="to the search field" />
          {places.map(({ key, name }) => (
            <Row key={key} keys={["g", key]} does={name} />
          ))}
          <Row keys={["j", "k"]} does="next and previous of the list of jobs" />
          <Row keys={["Enter"]} does="open it" />
          <Row keys={["x"]} does="choose it for cancel or retry" />
          <Row keys={["←", "→"]} does="entry before and after, where a job is shown as it was" />
          <Row keys={["?"]} does="this list" />
        </tbody>
      </table>
    </Dialog>
  );
}

function Row({ keys, does }: { keys: string[]; does: string }) {
  return (
    <tr>
      <td>
        {keys.map((key) => (
          <kbd key={key}>{key}</kbd>
        ))}
      </td>
      <td>{does}</td>
    </tr>
  );
}
