import { api, ended, expect, open, submit, test, token, tokenOf } from "./nox";

test("what repeats a job, and why it was cancelled, stand on its page", async ({ page }) => {
  const kin = tokenOf("kin");
  const id = await submit({ module: "noop", inputs: {}, run_at: "2036-01-01T00:00:00Z" }, kin);
  await api("POST", `/jobs/${id}/cancel`, undefined, kin, "falsche Geometrie ✗");
  await open(page, `jobs/${id}?tab=events`, kin);
  await expect(page.locator("[data-reason]", { hasText: "falsche Geometrie ✗" })).toBeVisible();
  await page.getByRole("button", { name: "Run again…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Run again" }).click();
  const again = (await page.getByRole("status").getByRole("link").getAttribute("title"))!;
  await ended(again, kin);
  await page.getByRole("tab", { name: "Related" }).click();
  await expect(page.getByRole("tabpanel").getByRole("link", { name: again })).toBeVisible();
  await open(page, `jobs/${again}?tab=related`, kin);
  await expect(page.getByRole("tabpanel").getByRole("link", { name: id })).toBeVisible();
});

test("the frame that is looked at stands in the address", async ({ page }) => {
  const id = await submit({ module: "noop", inputs: {} });
  await ended(id);
  await open(page, `jobs/${id}?tab=past`);
  await expect(page.getByRole("tabpanel").locator(".state")).toContainText("succeeded");
  await page.locator("h1").click();
  await page.keyboard.press("ArrowLeft");
  await expect(page).toHaveURL(/frame=\d+/);
  const shown = await page.getByRole("tabpanel").locator("b").first().textContent();
  await page.reload();
  await expect(page.getByRole("tabpanel").locator("b").first()).toHaveText(shown!);
});

test("a new job is judged while it is typed, and nothing of it is recorded", async ({ page }) => {
  const judge = tokenOf("judge");
  await open(page, "new/xtb_hello", judge);
  const text = page.getByRole("textbox", { name: "text" });
  await text.fill("hello");
  await expect(page.getByTestId("judged")).toContainText("It would be taken: xtb_hello");
  await open(page, "new/xtb", judge);
  await page.getByRole("button", { name: "Water" }).click();
  await page.getByLabel("multiplicity").fill("2");
  await expect(page.getByTestId("judged")).toContainText("It would be refused");
  await expect(page.locator(".mantine-InputWrapper-error").first()).toBeVisible();
  await page.getByLabel("multiplicity").fill("1");
  await expect(page.getByTestId("judged")).toContainText("It would be taken: xtb");
  expect((await api("GET", "/jobs", undefined, judge)).body.jobs).toEqual([]);
});

test("the operator's name and colour are where one looks", async ({ page }) => {
  await open(page, "overview", token("admin"));
  await expect(page.locator(".head .instance")).toHaveText("Bench");
  await expect(page).toHaveTitle("Overview · Bench · Nox");
  await expect(page.locator("link[rel=icon]")).toHaveAttribute("href", /hsl\(161/);
  await expect(page.getByText(/\d+ submitted, \d+ succeeded/).first()).toBeVisible();
  await page.getByLabel("of the last").selectOption("day");
  await expect(page).toHaveURL(/within=day/);
});
