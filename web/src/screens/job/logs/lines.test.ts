import { expect, test } from "vitest";
import type { Chunk } from "../../../api/schema";
import { Lines } from "./lines";

const chunk = (text: string, rest: Partial<Chunk> = {}) => ({ text, stream: "stdout", attempt: 1, at: "", missing: 0, ...rest }) as unknown as Chunk;
const told = (...chunks: Chunk[]) => {
  const lines = new Lines();
  chunks.forEach((each) => lines.add(each));
  return lines.all.map(({ text }) => text);
};

test("lines go over chunks, and streams do not mix", () => {
  expect(told(chunk("a\nb"), chunk("x\n", { stream: "stderr" }), chunk("c\n\nd"))).toEqual(["a", "bc", "x", "", "d"]);
});

test("a progress bar is one line", () => {
  expect(told(chunk("10 %\r"), chunk("20 %\r30 %"), chunk("\rdone\n"))).toEqual(["done"]);
});

test("what is missing is said, and a line without an end is broken", () => {
  expect(told(chunk("a", { missing: 7 as never }))).toEqual(["[7 bytes of stdout are missing here]", "a"]);
  expect(told(chunk("y".repeat(20_000))).length).toBe(3);
});

test("a colour goes on in the next line", () => {
  const lines = new Lines();
  lines.add(chunk("\x1b[31mred\nstill\x1b[0m\nplain"));
  expect(lines.all.map(({ style }) => style.color)).toEqual([undefined, 1, undefined]);
});
