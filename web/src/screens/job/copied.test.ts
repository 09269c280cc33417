import { expect, test } from "vitest";
import type { Job } from "../../api/schema";
import { commands } from "./copied";

const job = {
  module: "xtb",
  inputs: { charge: 1 },
  requested_resources: { cpu: 2, mem_mb: 512, wall_time_s: 60, gpu: 1 },
  priority: 7,
  labels: { team: "it's blue", set: "a,b" },
} as unknown as Job;

test("the same job has the same resources, priority and labels, however it is typed", () => {
  const { curl, noxctl, Python } = commands(job, "http://nox");
  expect(curl).toContain(`"requested_resources":{"cpu":2,"mem_mb":512,"wall_time_s":60,"gpu":1},"priority":7,"labels":{`);
  expect(noxctl).toContain(`--input - \\\n  --cpu 2 --mem-mb 512 --wall-time-s 60 --gpu 1 --priority 7 --label 'team=it'\\''s blue' --label 'set=a,b'`);
  expect(Python).toContain(`Options(resources=Resources(cpu=2, mem_mb=512, wall_time_s=60, gpu=1), priority=7, labels={"team":"it's blue","set":"a,b"})`);
  expect(Python).toContain(`json.loads("{\\"charge\\":1}"), options=options)`);
});

test("of a job without labels none are said", () => {
  const { noxctl, Python } = commands({ ...job, labels: undefined } as unknown as Job, "http://nox");
  expect(noxctl).not.toContain("--label");
  expect(Python).toContain("priority=7)");
});
