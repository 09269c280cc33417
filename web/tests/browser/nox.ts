/** What the tests do beside the browser, and a page that must not break the rules of the console while they look. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test as base, expect, type Page } from "@playwright/test";
import { noxctl } from "./system";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Where the console is; the gateway's own, but while it is worked on. */
export const origin = () => process.env.NOX_TEST_CONSOLE ?? process.env.NOX_TEST_URL ?? "";
export const token = (who: "user" | "admin" = "user") => (who === "admin" ? process.env.NOX_TEST_ADMIN : process.env.NOX_TEST_TOKEN) ?? "";

export const tokenOf = (sub: string) =>
  execFileSync(noxctl(), ["token", "--sub", sub], { env: { ...process.env, NOX_DATA: process.env.NOX_TEST_DATA }, encoding: "utf8" }).trim();

type Answer = { status: number; body: Record<string, any> };

export async function api(method: string, path: string, body?: unknown, as = token(), reason?: string): Promise<Answer> {
  const response = await fetch(`${process.env.NOX_TEST_URL}${path}`, {
    method,
    headers: { Authorization: `Bearer ${as}`, "Content-Type": "application/json", ...(reason !== undefined && { "Nox-Reason": Buffer.from(reason).toString("latin1") }) },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: (text === "" ? {} : JSON.parse(text)) as Record<string, any> };
}

export async function submit(job: Record<string, unknown>, as = token()): Promise<string> {
  const { status, body } = await api("POST", "/jobs", job, as);
  expect(status, JSON.stringify(body)).toBeLessThan(300);
  return body.job_id ?? body.id;
}

export async function ended(id: string, as = token()): Promise<Record<string, any>> {
  const response = await fetch(`${process.env.NOX_TEST_URL}/jobs/${id}`, { headers: { Authorization: `Bearer ${as}`, Prefer: "wait=30" } });
  return (await response.json()) as Record<string, any>;
}

/** Signs in by a link, as `make up` prints it. */
export const open = (page: Page, screen: string, as = token()) => page.goto(`${origin()}/ui/${screen}#token=${as}`);

/** Those that README and web/README show, taken anew where NOX_PICTURES is set. */
export async function picture(page: Page, name: string) {
  if (process.env.NOX_PICTURES !== undefined) await page.screenshot({ path: `../docs/pictures/${name.replace(/\W+/g, "-")}.png` });
}

export async function accessible(page: Page, about: string) {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { violations } = await (window as any).axe.run(document, { resultTypes: ["violations"] });
    return violations
      .filter((each: any) => each.impact === "serious" || each.impact === "critical")
      .map((each: any) => `${each.id}: ${each.nodes.slice(0, 3).map((node: any) => `${node.html.slice(0, 160)} ${node.any?.[0]?.message ?? ""}`).join(" | ")}`);
  });
  expect(found, about).toEqual([]);
}

/** A page on which no script fails, nothing is refused by the policy, and no other host is asked. */
export const test = base.extend<{ rules: void }>({
  rules: [
    async ({ page }, use) => {
      const broken: string[] = [];
      page.on("pageerror", (error) => broken.push(`script: ${error.message}`));
      page.on("console", (message) => {
        if (/Content Security Policy|Refused to/.test(message.text())) broken.push(message.text());
      });
      page.on("dialog", (dialog) => {
        broken.push(`a dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
      page.on("request", (request) => {
        const url = new URL(request.url());
        if (!["127.0.0.1", "localhost", ""].includes(url.hostname)) broken.push(`asked ${url.host}`);
        if (request.url().includes("eyJ")) broken.push("a token in an address");
      });
      await use();
      expect(broken).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };
