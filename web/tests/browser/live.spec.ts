import { wire } from "./cut";
import { ended, expect, open, origin, submit, test, tokenOf } from "./nox";

test("nothing is lost when the connection is cut", async ({ page }) => {
  const cutter = tokenOf("cutter");
  const line = await wire(origin());
  try {
    await page.goto(`${line.url}/ui/live?type=job.succeeded#token=${cutter}`);
    await expect(page.locator(".live")).toHaveAttribute("data-live", "live");
    const first = await submit({ module: "noop", inputs: {} }, cutter);
    await expect(page.getByTitle(first)).toHaveCount(1);
    line.cut();
    await expect(page.locator(".live")).toHaveAttribute("data-live", "cut");
    const ids: string[] = [];
    for (let each = 0; each < 20; each++) ids.push(await submit({ module: "noop", inputs: {} }, cutter));
    await ended(ids.at(-1)!, cutter);
    line.mend();
    for (const id of ids) await expect(page.getByTitle(id)).toHaveCount(1, { timeout: 30_000 });
    await expect(page.getByTitle(first)).toHaveCount(1);
  } finally {
    line.end();
  }
});

test("a pause asks for nothing, and what happened meanwhile is told behind it", async ({ page }) => {
  const pauser = tokenOf("pauser");
  await open(page, "jobs", pauser);
  await submit({ module: "noop", inputs: {} }, pauser);
  await expect(page.locator("[data-job]")).toHaveCount(1);
  await page.getByRole("button", { name: "Pause" }).click();
  await expect(page.locator(".live")).toHaveAttribute("data-live", "paused");
  await page.waitForLoadState("networkidle");
  const asked: string[] = [];
  page.on("request", (request) => asked.push(request.url()));
  const id = await submit({ module: "noop", inputs: {} }, pauser);
  await ended(id, pauser);
  // Longer than anything asks for again by itself.
  await page.waitForTimeout(12_000);
  expect(asked).toEqual([]);
  await expect(page.locator("[data-job]")).toHaveCount(1);
  await page.getByRole("button", { name: "Follow again" }).click();
  await expect(page.locator("[data-job]")).toHaveCount(2);
});

test("a tab out of sight closes its connection, and tells what happened when it is seen again", async ({ page }) => {
  const hider = tokenOf("hider");
  const turn = (hidden: boolean) =>
    page.evaluate((to) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => to });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  const streams: (string | undefined)[] = [];
  let closed = 0;
  const isStream = (url: string) => new URL(url).pathname === "/events";
  page.on("request", (request) => isStream(request.url()) && streams.push(request.headers()["last-event-id"]));
  page.on("requestfailed", (request) => isStream(request.url()) && closed++);
  await open(page, "live?type=job.succeeded", hider);
  await expect(page.locator(".live")).toHaveAttribute("data-live", "live");
  const first = await submit({ module: "noop", inputs: {} }, hider);
  await expect(page.getByTitle(first)).toHaveCount(1);
  const [streamsBefore, closedBefore] = [streams.length, closed];
  await turn(true);
  await expect.poll(() => closed, { timeout: 15_000 }).toBe(closedBefore + 1);
  const second = await submit({ module: "noop", inputs: {} }, hider);
  await ended(second, hider);
  expect(streams.length).toBe(streamsBefore);
  await turn(false);
  await expect(page.getByTitle(second)).toHaveCount(1);
  await expect(page.getByTitle(first)).toHaveCount(1);
  expect(streams.length).toBe(streamsBefore + 1);
  expect(streams.at(-1)).toMatch(/^\d+-/);
});
