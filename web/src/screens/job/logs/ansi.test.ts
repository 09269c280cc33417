import { expect, test } from "vitest";
import { bare, pieces } from "./ansi";

test("colours are shown and go on in the next line", () => {
  const { pieces: found, style } = pieces("a\x1b[1;31mb\x1b[38;5;200mc", {});
  expect(found.map(({ text }) => text)).toEqual(["a", "b", "c"]);
  expect(found[1]?.style).toMatchObject({ bold: true, color: 1 });
  expect(style.color).toBe(200);
  expect(pieces("\x1b[0mx", style).pieces[0]?.style).toEqual({});
});

test("nothing else is obeyed", () => {
  const hostile = "x\x1b[2Jy\x1b]0;title\x07z\x1b]8;;http://evil\x1b\\link\x08\u202Etxt\x07\x9b31m";
  const text = pieces(hostile, {}).pieces.map((piece) => piece.text).join("");
  expect(text).toBe("xyzlink␈‹202e›txt␇‹009b›31m");
  expect(bare("\x1b[31mred\x1b[0m")).toBe("red");
});
