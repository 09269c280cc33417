import { accessible, api, ended, expect, open, origin, picture, submit, test, token } from "./nox";

const WATER = "3\nwater\nO 0 0 0.117\nH 0 0.757 -0.471\nH 0 -0.757 -0.471\n";
const PICTURES = ["overview", "jobs", "new/xtb", "job molecule", "job waterfall", "job logs", "job past", "schedules/new", "streams", "streams?tab=then&as_of=3", "keys", "audit"];

let job = "";
let failed = "";

test.beforeAll(async () => {
  job = await submit({ module: "xtb", inputs: { xyz: WATER, params: { opt: true, hess: true } }, labels: { team: "quantum" } });
  failed = await submit({ command: "printf '\\033[31mred\\033[0m\\nplain\\n'; exit 3" });
  await submit({ module: "noop", inputs: {}, run_at: "2036-01-01T00:00:00Z" });
  const gone = await submit({ module: "noop", inputs: {}, run_at: "2036-01-01T00:00:00Z", labels: { team: "quantum" } });
  await api("POST", `/jobs/${gone}/cancel`, undefined, token(), "wrong inputs");
  await api("POST", "/modules/noop/disable", undefined, token("admin"), "maintenance until noon");
  await api("POST", "/modules/noop/enable", undefined, token("admin"));
  await ended(job);
  await ended(failed);
});

const SCREENS = ["overview", "jobs", "new/xtb", "modules", "workers", "quotas", "schedules", "schedules/new", "webhooks", "webhooks?new=1", "live", "streams", "streams?tab=then&as_of=3", "streams?tab=replay", "keys", "keys?new=1", "audit"];
const OF_ADMINS = ["audit", "streams"];
const TABS = ["molecule", "waterfall", "logs", "files", "inputs", "result", "events", "past", "related"];

for (const scheme of ["light", "dark"] as const) {
  for (const screen of [...SCREENS, ...TABS.map((tab) => `job ${tab}`)]) {
    test(`${screen} in ${scheme}: accessible, within the policy`, async ({ page }) => {
      await page.emulateMedia({ colorScheme: scheme });
      const tab = screen.startsWith("job ") ? screen.slice(4) : undefined;
      await open(page, tab ? `jobs/${tab === "logs" ? failed : job}?tab=${tab}` : screen, token(OF_ADMINS.includes(screen) ? "admin" : "user"));
      await expect(page.locator("h1").first()).toBeVisible();
      if (tab) await expect(page.getByRole("tabpanel")).toBeVisible();
      if (screen === "new/xtb") await page.getByRole("button", { name: "Water" }).click();
      if (screen === "new/xtb" || tab === "molecule") await expect(page.locator(".molecule canvas").first()).toBeVisible();
      await expect(page.locator(".live")).toHaveAttribute("data-live", "live");
      await expect(page.getByText("Loading…")).toHaveCount(0);
      await accessible(page, screen);
      if (PICTURES.includes(screen) && scheme === "light") await picture(page, screen);
    });
  }
}

test("the first paint of the list of jobs is within a second", async ({ page }) => {
  await open(page, "jobs");
  await expect(page.getByRole("table", { name: "Jobs" })).toBeVisible();
  await page.reload();
  await expect(page.getByRole("table", { name: "Jobs" })).toBeVisible();
  const paint = await page.evaluate(
    () => new Promise<number>((told) => new PerformanceObserver((list) => told(list.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Infinity)).observe({ type: "paint", buffered: true })),
  );
  console.log(`first contentful paint after ${Math.round(paint)} ms`);
  expect(paint).toBeLessThan(1000);
});

test("without a token there is the form, and a token of nobody's is told so", async ({ page }) => {
  await page.goto(`${origin()}/ui/jobs`);
  await accessible(page, "signing in");
  await page.getByLabel("Token").fill("eyJhbGciOiJIUzI1NiJ9.e30.x");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toContainText("Signed out");
  await page.getByLabel("Token").fill(token());
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: "Jobs" })).toBeVisible();
  expect(page.url()).not.toContain("token");
  expect(await page.evaluate(() => JSON.stringify(localStorage))).not.toContain("eyJ");
});

test("a job that is not there is told in the server's words", async ({ page }) => {
  await open(page, "jobs/01900000-0000-7000-8000-000000000000");
  await expect(page.getByRole("alert")).toContainText("404");
  await expect(page.getByRole("alert")).toContainText("request ");
});

test("a job as it was: changed fields are marked", async ({ page }) => {
  await open(page, `jobs/${job}?tab=past`);
  await expect(page.getByRole("tabpanel").getByText("succeeded").first()).toBeVisible();
  await expect(page.locator("tr[data-changed]", { hasText: "outputs" })).toBeVisible();
  await page.locator("h1").click();
  await page.keyboard.press("ArrowLeft");
  await expect(page.getByRole("tabpanel").locator(".state")).toContainText("running");
  await page.keyboard.press("ArrowLeft");
  await expect(page.getByRole("tabpanel").locator(".state")).toContainText("queued");
});

test("a log's colours are shown, and it is searched", async ({ page }) => {
  await open(page, `jobs/${failed}?tab=logs`);
  await expect(page.locator(".line span", { hasText: /^red$/ }).last()).toHaveCSS("color", "rgb(179, 38, 30)");
  await page.getByLabel("Search in the log").fill("PLAIN");
  await expect(page.getByRole("status").filter({ hasText: "1 of 1" })).toBeVisible();
});
