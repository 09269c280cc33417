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

const OF_COMMANDS: Record<string, string> = { queued: "pending", succeeded: "success", failed: "failure", canceled: "cancelled" };
const OF_ENGINES: Record<string, string> = { queued: "pending", succeeded: "completed", canceled: "cancelled" };

/** How a job of this kind is told to be in `state`, as docs/API.md has it. Only jobs of commands say `createdBy`. */
export function statusOf(job: { engine?: string | null; createdBy?: string | null }, state: string): string {
  const words = job.engine ? OF_ENGINES : job.createdBy ? OF_COMMANDS : {};
  return words[state] ?? state;
}
