import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Connection } from "./connection";
import { UNSEEN_MS, whileSeen } from "./seen";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A page that is hidden and shown by hand, and a server that says one id and then nothing. */
function stage() {
  const page = Object.assign(new EventTarget(), { hidden: false });
  const turn = (hidden: boolean) => {
    page.hidden = hidden;
    page.dispatchEvent(new Event("visibilitychange"));
  };
  const asked: { after: string | null; signal: AbortSignal }[] = [];
  vi.stubGlobal("sessionStorage", { getItem: () => "token" });
  vi.stubGlobal("fetch", async (_: string, { headers, signal }: { headers: Record<string, string>; signal: AbortSignal }) => {
    asked.push({ after: headers["Last-Event-ID"] ?? null, signal });
    return new Response(new ReadableStream({ start: (body) => body.enqueue(new TextEncoder().encode("id: 7-0-0\n\n")) }));
  });
  const connection = new Connection();
  connection.start();
  return { page, turn, asked, connection, end: whileSeen(connection, page as unknown as Document) };
}

test("a tab out of sight gives its connection back, and goes on behind its last event", async () => {
  const { turn, asked, connection, end } = stage();
  await vi.waitFor(() => expect(connection.snapshot().lastId).toBe("7-0-0"));
  turn(true);
  await vi.advanceTimersByTimeAsync(UNSEEN_MS - 1);
  expect(asked[0]?.signal.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked[0]?.signal.aborted).toBe(true);
  expect(asked.length).toBe(1);
  turn(false);
  await vi.waitFor(() => expect(connection.snapshot().state).toBe("live"));
  expect(asked.map(({ after }) => after)).toEqual([null, "7-0-0"]);
  // Who looks elsewhere for a moment keeps it.
  turn(true);
  await vi.advanceTimersByTimeAsync(UNSEEN_MS / 2);
  turn(false);
  await vi.advanceTimersByTimeAsync(UNSEEN_MS);
  expect(asked.length).toBe(2);
  expect(asked[1]?.signal.aborted).toBe(false);
  end();
  connection.end();
});

test("what is paused stays so when the tab is seen again", async () => {
  const { turn, asked, connection, end } = stage();
  await vi.waitFor(() => expect(connection.snapshot().state).toBe("live"));
  connection.pause();
  turn(true);
  await vi.advanceTimersByTimeAsync(2 * UNSEEN_MS);
  turn(false);
  await vi.advanceTimersByTimeAsync(UNSEEN_MS);
  expect(connection.snapshot().state).toBe("paused");
  expect(asked.length).toBe(1);
  end();
});
