/**
 * The newest frame of the log that the page has heard of. Events come a little before the rows have them: whoever asks
 * names this frame, and is answered by rows that are no older than what is shown already.
 */
let frame = 0;

/** `id` is an event's: `41822-0-2`. */
export function heardOf(id: string): void {
  const n = Number(id.split("-", 1)[0]);
  if (Number.isSafeInteger(n) && n > frame) frame = n;
}

export const forgetFrame = () => void (frame = 0);

/** For a request of jobs and modules; of others, the API does not take it. */
export const minFrame = (path: string): Record<string, string> =>
  frame > 0 && /^\/(jobs|modules)(\/(?!stats$)[^/]+(\/(why|artifacts|events|logs))?)?$/.test(path) ? { "Nox-Min-N": String(frame) } : {};
