import { accessible, api, expect, open, submit, test, token, tokenOf } from "./nox";

test("an admin sets a user's limits and says why, and lets the role count again", async ({ page }) => {
  await submit({ module: "noop", inputs: {} }, tokenOf("saver"));
  await open(page, "quotas", token("admin"));
  const card = page.locator("section.card", { hasText: "user/saver" });
  await card.getByRole("button", { name: "Change limits…" }).click();
  await page.getByLabel("Attempts at a time").fill("3");
  await expect(page.getByRole("button", { name: "Save" })).toBeDisabled();
  await page.getByLabel("Reason").fill("<b>saves</b> power");
  await accessible(page, "limits of a user");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(card).toContainText("set by admin: <b>saves</b> power");
  expect((await api("GET", "/quotas/saver", undefined, token("admin"))).body.limits.running_jobs).toBe(3);
  await card.getByRole("button", { name: "Follow the role again" }).click();
  await page.getByLabel("Reason").fill("enough saved");
  await page.getByRole("dialog").getByRole("button", { name: "Follow the role again" }).click();
  await expect(card).toContainText("set back by admin: enough saved");
  await expect(card.getByRole("button", { name: "Follow the role again" })).toHaveCount(0);
  await open(page, "quotas", tokenOf("saver"));
  await expect(page.locator("section.card").first()).toBeVisible();
  await expect(page.getByRole("button", { name: "Change limits…" })).toHaveCount(0);
});
