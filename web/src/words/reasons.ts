/** What `waiting.code` says, in the words of docs/API.md made short. */
export const REASONS: Record<string, string> = {
  priority: "others are ahead",
  resources: "no worker has room",
  unsatisfiable: "no worker is large enough",
  no_worker: "no worker serves the module",
  drained: "its workers are drained",
  isolation: "waits for a worker of its own",
  concurrency: "its concurrency limit is reached",
  quota: "its owner's limit of running jobs is reached",
  dependency: "follows a job that has not succeeded",
  scheduled: "its time has not come",
  backoff: "tries again after a failure",
  paused: "its module is disabled",
  dispatching: "a worker was told and has not started",
  rate: "starts are held to a rate",
  claim: "waits to be claimed by a worker",
};

export const reason = (code: string) => REASONS[code] ?? code;
