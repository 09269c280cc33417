import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { modes, moving } from "./modes";
import { formula, frames, read, write } from "./xyz";

const WATER = "3\nwater\nO 0 0 0.12\nh 0 0.76 -0.48\n1 0 -0.76 -0.48\n";

test("a molecule is read, and written as it was read", () => {
  const { atoms, faults } = read(WATER);
  expect(faults).toEqual([]);
  expect(formula(atoms)).toBe("H2O");
  expect(read(write(atoms, "a\nb")).atoms).toEqual(atoms);
});

test.each([
  ["x\n", 1],
  ["2\n\nO 0 0 0\n", 4],
  ["1\n\nXx 0 0 0\n", 3],
  ["1\n\nO 0,1 0 0\n", 3],
  ["1\n\nO 0 0 0\n\nO 1 1 1\n", 5],
])("%j is wrong in line %i", (text, line) => {
  expect(read(text).faults[0]?.line).toBe(line);
});

test("a trajectory is taken apart", () => {
  expect(frames(WATER + WATER)).toEqual([WATER, WATER]);
});

test("the modes of water", () => {
  const { atoms, modes: found } = modes(readFileSync("tests/data/water.g98.out", "utf8"));
  expect(atoms.map(({ element }) => element)).toEqual(["O", "H", "H"]);
  expect(found.map(({ frequency }) => Math.round(frequency))).toEqual([1539, 3643, 3652]);
  expect(found[0]?.moves[1]).toEqual([-0, -0.4, -0.55]);
  expect(moving(atoms, found[0]!).split("\n")[2]).toBe("O 0 0 0.099071 0 0 0.28");
});
