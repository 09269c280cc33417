/** What the viewer chose, kept in this browser: nothing of it says who they are. */
import { useSyncExternalStore } from "react";
import type { Zone } from "../words/times";

export type Choices = { zone: Zone; instance: string };

const KEY = "nox.choices";
const watchers = new Set<() => void>();
let choices: Choices = read();

function read(): Choices {
  const first: Choices = { zone: "local", instance: "" };
  try {
    return { ...first, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Choices>) };
  } catch {
    return first;
  }
}

export function choose(change: Partial<Choices>) {
  choices = { ...choices, ...change };
  localStorage.setItem(KEY, JSON.stringify(choices));
  watchers.forEach((watcher) => watcher());
}

export function useChoices(): Choices {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => void watchers.delete(watcher);
    },
    () => choices,
  );
}
