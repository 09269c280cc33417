/** Starts all of Nox in a folder of its own for the tests, and stops it behind them. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const root = resolve(import.meta.dirname, "../../..");
export const noxctl = () => process.env.NOX_TEST_NOXCTL ?? join(root, "target/debug/noxctl");

export default async function start() {
  const data = mkdtempSync(join(tmpdir(), "nox-web-"));
  const child = spawn(noxctl(), ["dev", "--headless", "--sync", "relaxed"], {
    cwd: root,
    // Webhooks may go to the tests themselves.
    env: { NOX_HTTP_ADDR: "127.0.0.1:0", NOX_INSTANCE_NAME: "Bench", NOX_INSTANCE_COLOR: "#0b6e4f", NOX_WEBHOOK_ALLOW: "127.0.0.0/8", NOX_WEBHOOK_HTTP: "true", NOX_WEBHOOK_RETRY_S: "1,2,4,4,8,8", ...process.env, NOX_DATA: data },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ready = await new Promise<string>((told, failed) => {
    createInterface({ input: child.stdout }).once("line", told);
    child.once("exit", (code) => failed(new Error(`noxctl dev ended with ${code}`)));
  });
  const { url, token, admin_token } = JSON.parse(ready) as Record<string, string>;
  Object.assign(process.env, { NOX_TEST_URL: url, NOX_TEST_TOKEN: token, NOX_TEST_ADMIN: admin_token, NOX_TEST_DATA: data });
  return async () => {
    const ended = new Promise((done) => child.once("exit", done));
    child.kill("SIGINT");
    await ended;
    rmSync(data, { recursive: true, force: true });
  };
}
