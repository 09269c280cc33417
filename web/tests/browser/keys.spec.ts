import { expect, open, submit, test, token } from "./nox";

test("all by keys", async ({ page }) => {
  await submit({ module: "noop", inputs: {} });
  await submit({ module: "noop", inputs: {} });
  await open(page, "overview");
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toBeHidden();
  await page.locator("body").press("g");
  await page.keyboard.press("j");
  await expect(page.getByRole("heading", { name: "Jobs" })).toBeVisible();
  await expect(page.locator("[data-job]").first()).toBeVisible();
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  const first = page.locator("[data-job]").first();
  await expect(first).toHaveAttribute("data-at", "true");
  await page.keyboard.press("x");
  await expect(first.getByRole("checkbox")).toBeChecked();
  const id = await first.getAttribute("data-job");
  await page.keyboard.press("/");
  await expect(page.getByLabel("Filter")).toBeFocused();
  await page.keyboard.type("module!=xtb status=succeeded");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/jobs\?module!=xtb&status=succeeded$/);
  await page.getByLabel("Filter").blur();
  await expect(first).toHaveAttribute("data-job", id ?? "");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/ui/jobs/${id}`));
});

for (const screen of ["jobs", "overview", "webhooks", "audit", "keys", "schedules/new", "streams?tab=then&as_of=2", "streams?tab=replay"]) {
  test(`${screen}: every button, link and field is reached by Tab`, async ({ page }) => {
    await open(page, screen, token("admin"));
    await expect(page.locator("h1").first()).toBeVisible();
    await expect(page.getByText("Loading…")).toHaveCount(0);
    const FIELDS = "a, button, select, input, textarea";
    const wanted = await page.locator(FIELDS).evaluateAll(
      // Of tabs, the arrows reach those that are not chosen.
      (all) => all.filter((each) => (each as HTMLElement).offsetParent !== null && !(each as HTMLButtonElement).disabled && !each.matches("[role=tab][tabindex='-1']")).length,
    );
    const reached = new Set<number>();
    for (let press = 0; press < wanted + 40; press++) {
      await page.keyboard.press("Tab");
      reached.add(await page.evaluate((fields) => [...document.querySelectorAll(fields)].indexOf(document.activeElement as Element), FIELDS));
    }
    reached.delete(-1);
    expect(reached.size).toBeGreaterThanOrEqual(wanted);
  });
}
