import { accessible, expect, open, submit, test, token, tokenOf } from "./nox";

const SCRIPT = `<script>alert(1)</script>\u202Egnp.exe '"`;

test("who did what, from where and why, as far as the job", async ({ page }) => {
  const mallory = tokenOf("mallory");
  const id = await submit({ module: "noop", inputs: {}, run_at: "2036-01-01T00:00:00Z" }, mallory);
  await open(page, `jobs/${id}`, mallory);
  await page.getByRole("button", { name: "Cancel…" }).click();
  await page.getByLabel("Reason").fill(SCRIPT);
  await page.getByRole("button", { name: "Cancel the job" }).click();
  await expect(page.locator(".because .state")).toHaveAttribute("data-state", "canceled");

  await open(page, "audit?user_id=mallory", token("admin"));
  const row = page.getByRole("row", { name: /job\.cancel/ });
  await expect(row).toContainText("mallory");
  await expect(row).toContainText("127.0.0.1");
  await expect(row).toContainText("<script>alert(1)</script>");
  expect(await page.locator("main script, main img").count()).toBe(0);
  await expect(page.getByRole("row", { name: /job\.submit/ })).toBeVisible();
  await row.getByRole("button", { name: "job.cancel" }).click();
  await expect(page).toHaveURL(/verb=job\.cancel/);
  await expect(page.getByRole("row", { name: /job\.submit/ })).toHaveCount(0);
  await row.getByRole("button", { name: /^All of/ }).click();
  await expect(page.getByLabel(/^act /)).toContainText("request_id");
  await accessible(page, "the audit");
  await row.getByTitle(id).click();
  await expect(page).toHaveURL(new RegExp(`jobs/${id}`));
});

test("it is filtered by keys alone, and paged", async ({ page }) => {
  const pager = tokenOf("pager");
  for (let each = 0; each < 3; each++) await submit({ module: "noop", inputs: {} }, pager);
  await open(page, "audit", token("admin"));
  await expect(page.getByRole("row", { name: /job\.submit/ }).first()).toBeVisible();
  await page.keyboard.press("/");
  await page.keyboard.type("pager");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/audit\?user_id=pager/);
  await expect(page.getByRole("row", { name: /job\.submit/ })).toHaveCount(3);
  await page.getByLabel("Outcome").selectOption("refused");
  await expect(page).toHaveURL(/outcome=refused/);
  await expect(page.getByText("Nothing that this chooses.")).toBeVisible();
});

test("whoever is no admin is not led there, and is told so", async ({ page }) => {
  await open(page, "audit");
  await expect(page.getByRole("alert")).toContainText("403");
  await expect(page.getByRole("navigation").getByRole("link", { name: "Audit" })).toHaveCount(0);
});
