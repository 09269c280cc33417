import { expect, test } from "vitest";
import type { Row } from "../api/queries";
import type { Heard } from "./connection";
import { after, stays } from "./patch";

const row = { id: "a", state: "queued", status: "queued", waiting: { code: "priority", message: "" }, attempt: 0, error: null } as unknown as Row;
const event = (word: string, data: Record<string, unknown> = {}) =>
  ({ type: `nox.job.${word}.v1`, subject: "a", time: "2026-11-28T06:00:00Z", data }) as unknown as Heard;

test("a job's life, as its events tell it", () => {
  const told = [
    event("assigned", { attempt: 1, worker_id: "w" }),
    event("started", { attempt: 1 }),
    event("attempt_failed", { attempt: 1 }),
    event("retry_scheduled", {}),
    event("assigned", { attempt: 2 }),
    event("started", { attempt: 2 }),
    event("failed", { error: { code: "exit_status", message: "3" } }),
  ].reduce<Row[]>((rows, each) => [...rows, after(rows.at(-1) ?? row, each)], []);
  expect(told.map(({ state }) => state)).toEqual(["queued", "running", "running", "queued", "queued", "running", "failed"]);
  expect(told[3]?.waiting?.code).toBe("backoff");
  expect(told.at(-1)).toMatchObject({ attempt: 2, waiting: null, ended_at: "2026-11-28T06:00:00Z", error: { code: "exit_status" } });
});

test("jobs are told in the words of their kind, and what is not known changes nothing", () => {
  expect(after({ ...row, createdBy: "ada" } as Row, event("failed")).status).toBe("failure");
  expect(after({ ...row, engine: "xtb" } as Row, event("succeeded")).status).toBe("completed");
  expect(after(row, event("new_word"))).toBe(row);
});

test("a row leaves a list of other states", () => {
  expect(stays(row, { status: "queued,running" })).toBe(true);
  expect(stays(row, { status: "failed" })).toBe(false);
  expect(stays(row, { "status!": "queued" })).toBe(false);
});
