import { expect, test } from "vitest";
import { asked } from "./resources";

test("what is left empty is not asked for", () => {
  expect(asked({ cpu: 2, mem_mb: "512", wall_time_s: "", gpu: undefined })).toEqual({ cpu: 2, mem_mb: 512 });
  expect(asked({})).toEqual({});
});
