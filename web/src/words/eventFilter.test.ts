import { expect, test } from "vitest";
import { readWords, withType, writeWords } from "./eventFilter";

test("a line is lists of words, and back", () => {
  const { words, unknown } = readWords('type=job.failed,job.canceled module!=xtb label="team=two words,of=them" user_id=Lovelace\\,Ada nonsense sort=at');
  expect(words).toEqual({ type: ["job.failed", "job.canceled"], "module!": ["xtb"], label: ["team=two words", "of=them"], user_id: ["Lovelace,Ada"] });
  expect(unknown).toEqual(["nonsense", "sort=at"]);
  expect(readWords(writeWords(words)).words).toEqual(words);
});

test("a type is chosen by a click, and by another no more", () => {
  expect(withType("module=xtb", "job.failed")).toBe("module=xtb type=job.failed");
  expect(withType("type=job.failed,job.succeeded", "job.failed")).toBe("type=job.succeeded");
  expect(withType("type=job.failed", "job.failed")).toBe("");
});
