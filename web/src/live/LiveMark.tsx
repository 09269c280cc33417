import { Button } from "@mantine/core";
import { useSyncExternalStore } from "react";
import { useNow } from "../app/clock";
import { span } from "../words/times";
import { live } from "./connection";

export const useLive = () => useSyncExternalStore(live.subscribe, live.snapshot);

const SAID = { connecting: "connecting", live: "live", cut: "cut off, trying again", paused: "paused", refused: "not allowed" };

/** Whether the page follows, how far behind it is, and the switch to hold it still. */
export function LiveMark() {
  const { state, lagMs, heard, lastId, problem } = useLive();
  useNow();
  const paused = state === "paused";
  return (
    <span className="row" role="status">
      <span className="live" data-live={state} title={problem?.message ?? (lastId ? `at ${lastId}, ${heard} events heard` : "")}>
        ● {SAID[state]}
        {state === "live" && lagMs !== null && <span className="dim"> lag {span(lagMs / 1000)}</span>}
      </span>
      <Button variant="default" size="compact-sm" onClick={() => (paused ? live.resume() : live.pause())}>
        {paused ? "Follow again" : "Pause"}
      </Button>
    </span>
  );
}
