import { accessible, expect, open, test, tokenOf } from "./nox";

test("a schedule is made, changed, paused, run and deleted", async ({ page }) => {
  const planner = tokenOf("planner");
  await open(page, "schedules", planner);
  await page.getByRole("button", { name: "New schedule…" }).click();
  await page.getByLabel("Name").fill("nightly <i>hello</i>");
  await page.getByLabel("Module").selectOption("xtb_hello");
  await expect(page).toHaveURL(/schedules\/new\?module=xtb_hello/);
  await page.getByLabel("When").fill("61 * * * *");
  await page.getByLabel("Time zone").fill("Europe/Berlin");
  await page.getByRole("textbox", { name: "text" }).fill("good night");
  await page.getByRole("button", { name: "Create" }).click();
  // The server's judgement stands beside its field.
  await expect(page.getByRole("alert").first()).toContainText("422");
  await expect(page.locator(".mantine-InputWrapper-error").first()).toBeVisible();
  await page.getByLabel("When").fill("30 2 * * *");
  await expect(page.getByText("every day at 02:30")).toBeVisible();
  await accessible(page, "a schedule that is to be");
  await page.getByRole("button", { name: "Create" }).click();
  await expect(page.getByRole("heading", { name: "nightly <i>hello</i>" })).toBeVisible();
  await expect(page.locator("ol li")).toHaveCount(5);
  await accessible(page, "a schedule");

  await page.getByRole("button", { name: "Change…" }).click();
  await page.getByLabel("While an earlier job has not ended").selectOption("queue");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("overlap queue")).toBeVisible();
  await expect(page.getByLabel("job", { exact: true })).toContainText("good night");

  await page.locator("main").getByRole("button", { name: "Pause" }).first().click();
  await page.getByRole("button", { name: "maintenance" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
  await expect(page.getByText("Paused (asked)")).toBeVisible();
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
  await expect(page.getByText("Paused (asked)")).toHaveCount(0);

  await page.getByRole("button", { name: "Run now" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Run now" }).click();
  await page.getByRole("dialog").getByRole("link").click();
  await expect(page).toHaveURL(/ui\/jobs\//);
  await expect(page.locator(".because .state")).toHaveAttribute("data-state", "succeeded", { timeout: 20_000 });
  await page.goBack();

  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByLabel("Reason").fill("sleeps well now");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(page).toHaveURL(/schedules$/);
  await expect(page.getByText("None. A schedule")).toBeVisible();
});
