// pg-boss with the load that `noxctl bench` puts on Nox; started by `noxctl bench --against pg-boss`.
//
//     node bench.mjs setup|work|produce DATABASE_URL
//
// `work` and `produce` read orders, a line of JSON each, and answer each with one line; they end with
// their standard input.

import { createInterface } from "node:readline";
import pg from "pg";
import { PgBoss } from "pg-boss";

const QUEUE = "bench";
// Nothing expires while it is measured.
const DAY_S = 86_400;
// Jobs that are fetched, and completed, in one statement each.
const BATCH = 200;
// One handler's batch is completed while the other's is fetched.
const WORKERS = 2;
// The least that pg-boss allows; the notification of an insert wakes a worker before.
const POLL_S = 0.5;
// Jobs in one insert, one insert at a time: two at a time were no faster.
const BULK = 1_000;
const CONNECTIONS_MAX = 16;

const [role, url] = process.argv.slice(2);
const monotonicNs = () => Number(process.hrtime.bigint());
const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");
const fail = (error) => {
  console.error(error);
  process.exit(1);
};

async function onOrders(orders) {
  say({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    say(await orders[order.do](order));
  }
  process.exit(0);
}

async function setup() {
  const boss = new PgBoss({ connectionString: url });
  await boss.start();
  await boss.createQueue(QUEUE, { notify: true, retentionSeconds: DAY_S, deleteAfterSeconds: DAY_S });
  await boss.stop();
}

async function work() {
  const boss = new PgBoss({ connectionString: url, useListenNotify: true });
  boss.on("error", fail);
  await boss.start();
  let handled = 0;
  let awaited = () => {};
  let waitsNs = [];
  const handle = (job) => {
    if (job.data.called_ns) waitsNs.push(monotonicNs() - job.data.called_ns);
    handled += 1;
    return { ok: true };
  };
  const options = {
    batchSize: BATCH,
    localConcurrency: WORKERS,
    pollingIntervalSeconds: POLL_S,
    burstWhenBatchFull: true,
  };
  await boss.work(QUEUE, options, async (jobs) => {
    let output;
    for (const job of jobs) output = handle(job);
    awaited();
    return output;
  });
  await onOrders({
    // Answers when so many were handled since the start.
    await: ({ handled: wanted }) =>
      new Promise((resolve) => {
        awaited = () => {
          if (handled >= wanted) resolve({ handled });
        };
        awaited();
      }),
    // From the call to the first instruction of the handler, of all since the last order.
    waits: () => {
      const answer = { waits_ns: waitsNs };
      waitsNs = [];
      return answer;
    },
  });
}

// Runs `submit(from, count)` until `jobs` are through, `most` a call and `inFlight` calls at a time.
async function submitAll(jobs, most, inFlight, submit) {
  const answersNs = [];
  let next = 0;
  const client = async () => {
    while (next < jobs) {
      const count = Math.min(most, jobs - next);
      next += count;
      const begun = monotonicNs();
      await submit(count);
      answersNs.push(monotonicNs() - begun);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, client));
  return { answers_ns: answersNs };
}

async function produce() {
  const max = CONNECTIONS_MAX;
  const boss = new PgBoss({ connectionString: url, max, supervise: false, schedule: false, migrate: false });
  boss.on("error", fail);
  await boss.start();
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  const completed = "select count(*)::int as n from pgboss.job where name = $1 and state = 'completed'";
  await onOrders({
    bulk: ({ jobs }) =>
      submitAll(jobs, BULK, 1, (count) =>
        boss.insert(QUEUE, Array.from({ length: count }, () => ({ data: {} }))),
      ),
    single: ({ jobs, in_flight }) => submitAll(jobs, 1, in_flight, () => boss.send(QUEUE, {})),
    // At even intervals, whether or not earlier calls were answered.
    paced: async ({ jobs, per_second }) => {
      const begun = performance.now();
      const calls = [];
      for (let i = 0; i < jobs; i++) {
        const wait = begun + (i * 1_000) / per_second - performance.now();
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
        const called_ns = monotonicNs();
        calls.push(boss.send(QUEUE, { called_ns }).then(() => monotonicNs() - called_ns));
      }
      return { answers_ns: await Promise.all(calls) };
    },
    // An empty queue whose statistics are those of a full one, as after a while in production: without
    // them the planner chooses worse and worse as the table fills.
    reset: async () => {
      await pool.query("analyze");
      await boss.deleteAllJobs(QUEUE);
      await pool.query("vacuum");
      return {};
    },
    completed: async () => (await pool.query(completed, [QUEUE])).rows[0],
  });
}

const roles = { setup, work, produce };
await roles[role]().catch(fail);
if (role === "setup") process.exit(0);
