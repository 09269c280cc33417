/** The words by which `GET /audit` chooses, and those that it has for what was done. */
export const FILTERS = [
  { name: "user_id", label: "Who", hint: "a user" },
  { name: "verb", label: "Did", hint: "job.cancel, or job" },
  { name: "job_id", label: "Job", hint: "its id" },
  { name: "since", label: "Since", hint: "2026-12-01T06:00:00Z" },
  { name: "until", label: "Until", hint: "2026-12-02T06:00:00Z" },
];

const OF: Record<string, string> = {
  job: "submit draft submit_draft cancel",
  quota: "set reset",
  worker: "register remove drain undrain",
  module: "register enable disable",
  topic: "register remove",
  key: "create revoke",
  schedule: "set pause resume trigger delete",
  webhook: "set rotate test redeliver delete disable",
  system: "lead configure reset_inputs",
};

export const VERBS = Object.entries(OF).flatMap(([kind, verbs]) => [kind, ...verbs.split(" ").map((verb) => `${kind}.${verb}`)]);
