import { expect, open, submit, test } from "./nox";

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

test("every button and link is reached by Tab", async ({ page }) => {
  await open(page, "jobs");
  await expect(page.locator("[data-job]").first()).toBeVisible();
  const wanted = await page.locator("a:visible, button:visible:not([disabled]), select:visible, .search:visible").count();
  const reached = new Set<string>();
  for (let press = 0; press < 200; press++) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => {
      const all = [...document.querySelectorAll("a, button, select, .search")];
      return String(all.indexOf(document.activeElement as Element));
    }));
  }
  reached.delete("-1");
  expect(reached.size).toBeGreaterThanOrEqual(wanted);
});
