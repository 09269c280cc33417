import { expect, test } from "vitest";
import { figures } from "./figures";

test("a text of metrics is figures by name", () => {
  const text = '# HELP nox_log_first_n The first frame.\n# TYPE nox_log_first_n gauge\nnox_log_first_n 17\nnox_others_parked{kind="module"} 2\nnox_x_bucket{le="1"} 4\nother 3\n';
  expect([...figures(text)]).toEqual([["nox_log_first_n", 17], ['nox_others_parked{kind="module"}', 2]]);
});
