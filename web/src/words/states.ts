import type { JobState } from "../api/schema";

export const STATES: JobState[] = ["draft", "queued", "running", "succeeded", "failed", "canceled"];

export const ENDED: ReadonlySet<string> = new Set(["succeeded", "failed", "canceled"]);

/** Told by a shape as well as a colour, for whoever does not see the one. */
export const SIGNS: Record<string, string> = {
  draft: "◌",
  queued: "◔",
  running: "▶",
  succeeded: "✓",
  failed: "✕",
  canceled: "⊘",
};
