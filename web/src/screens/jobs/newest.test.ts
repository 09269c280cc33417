import { expect, test } from "vitest";
import type { Row } from "../../api/queries";
import type { Heard } from "../../live/connection";
import { mayEnter, merged } from "./newest";

/** From a to i; that of d is a whole second, and that of f is written with fewer digits than that of e. */
const INSTANTS: Record<string, string> = Object.fromEntries(
  ["00.1", "00.2", "00.3", "01", "01.188391", "01.19", "02", "03", "04"].map((second, at) => ["abcdefghi"[at], `2026-11-28T06:00:${second}Z`]),
);
const rows = (ids: string) => ids.split("").map((id) => ({ id, created_at: INSTANTS[id] ?? "" }) as unknown as Row);
const list = (next: string | null, ...pages: string[]) => ({
  pages: pages.map((ids, at) => ({ rows: rows(ids), next: at < pages.length - 1 ? "more" : next })),
  pageParams: pages.map((): string | null => null),
});
const ids = (all: ReturnType<typeof list>) => all.pages.map((page) => page.rows.map(({ id }) => id).join(""));
const failed = { status: "failed" };

test("what enters a list stands where it belongs", () => {
  expect(ids(merged(list(null, "hf", "db"), { rows: rows("ihgfedcba"), next: null }, failed))).toEqual(["ihgf", "edcba"]);
  expect(ids(merged(list(null, "bd", "fh"), { rows: rows("abcdefghi"), next: null }, { ...failed, sort: "created_at" }))).toEqual(["abcd", "efghi"]);
  // It comes again with the page that is to be loaded.
  expect(ids(merged(list("more", "hf", "db"), { rows: rows("hca"), next: null }, failed))).toEqual(["hf", "dcb"]);
});

test("a list that is empty, or a whole page behind, begins anew", () => {
  expect(merged(list("more", ""), { rows: rows("b"), next: null }, failed)).toEqual(list(null, "b"));
  expect(merged(list(null, "b", "a"), { rows: rows("dc"), next: "more" }, failed)).toEqual(list("more", "dc"));
  const same = list(null, "b");
  expect(merged(same, { rows: rows("b"), next: null }, failed)).toBe(same);
});

test("with a filter, what happens to a job that the list has not may bring it in", () => {
  const event = (type: string, subject: string) => ({ type, subject, data: {} }) as unknown as Heard;
  expect(mayEnter(list(null, "b"), [event("nox.job.failed.v1", "a")], failed)).toBe(true);
  expect(mayEnter(list(null, "b"), [event("nox.job.failed.v1", "b"), event("nox.job.progressed.v1", "a"), event("nox.worker.joined.v1", "w")], failed)).toBe(false);
  expect(mayEnter(list(null, "b"), [event("nox.job.failed.v1", "a")], {})).toBe(false);
});
