import { expect, test } from "vitest";
import { hueByName, hueOf } from "./instance";

test("a colour's hue, and none of grey or of what is no colour", () => {
  expect(["#ff0000", "#00ff00", "#0000ff", "#b00020", "#808080", "red", ""].map(hueOf)).toEqual([0, 120, 240, 349, null, null, null]);
});

test("names have hues of their own, and keep them", () => {
  expect(hueByName("production")).toBe(hueByName("production"));
  expect(hueByName("production")).not.toBe(hueByName("staging"));
});
