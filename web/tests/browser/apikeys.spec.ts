import { api, expect, open, test, tokenOf } from "./nox";

test("a machine's key is made, shown once, used and revoked", async ({ page }) => {
  await open(page, "keys", tokenOf("keeper"));
  await page.getByRole("button", { name: "New key…" }).click();
  await page.getByLabel("Name").fill("<b>ci</b>");
  await page.getByLabel("Only reads").check();
  await page.getByRole("button", { name: "Create" }).click();
  const secret = (await page.getByTestId("secret").textContent())!.trim();
  await page.getByRole("button", { name: "I have it" }).click();
  const row = page.locator("[data-key]", { hasText: "<b>ci</b>" });
  await expect(row).toContainText("compute:read");
  expect((await api("GET", "/jobs", undefined, secret)).status).toBe(200);
  expect((await api("POST", "/jobs", { module: "noop", inputs: {} }, secret)).status).toBe(403);
  await row.getByRole("button", { name: "Revoke" }).click();
  await page.getByLabel("Reason").fill("it leaked");
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await expect(row).toHaveCount(0);
  await expect.poll(async () => (await api("GET", "/jobs", undefined, secret)).status, { timeout: 10_000 }).toBe(401);
});
