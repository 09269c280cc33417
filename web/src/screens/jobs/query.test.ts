import { expect, test } from "vitest";
import { has, read, toggled, write } from "./query";

test("the field and the address say the same", () => {
  const { filter, unknown } = read('state=failed,queued module!=xtb label="team=two words" owner:ada nonsense status=');
  expect(filter).toEqual({ status: "failed,queued", "module!": "xtb", label: "team=two words", user_id: "ada" });
  expect(unknown).toEqual(["nonsense", "status="]);
  expect(read(write(filter)).filter).toEqual(filter);
});

test("words with commas are one word", () => {
  const filter = toggled(toggled({}, "user_id", "Lovelace, Ada"), "user_id", "bob");
  expect(filter).toEqual({ user_id: "Lovelace\\, Ada,bob" });
  expect(has(filter, "user_id", "Lovelace, Ada")).toBe(true);
  expect(toggled(toggled(filter, "user_id", "bob"), "user_id", "Lovelace, Ada")).toEqual({});
});

test("there is one label, and it stands as it is", () => {
  const filter = toggled(toggled({ status: "failed" }, "label", "team=blue"), "label", "team=red, \\ or green");
  expect(filter).toEqual({ status: "failed", label: "team=red, \\ or green" });
  expect(has(filter, "label", "team=red, \\ or green")).toBe(true);
  expect(has(filter, "label", "team=red")).toBe(false);
  expect(toggled(filter, "label", "team=red, \\ or green")).toEqual({ status: "failed" });
  expect(toggled({ "label!": "a=b,c" }, "label!", "a=d")).toEqual({ "label!": "a=d" });
});
