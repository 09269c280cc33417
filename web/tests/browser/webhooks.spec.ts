import { accessible, api, expect, open, picture, submit, test, token, tokenOf } from "./nox";
import { receiver, signed } from "./receiver";

const SAYS = "to the group's chat";

test("a webhook is made, tested, rotated, switched off and deleted, all from its screen", async ({ page }) => {
  const hooker = tokenOf("hooker");
  const there = await receiver();
  try {
    await open(page, "webhooks", hooker);
    await page.getByRole("button", { name: "New webhook…" }).click();
    await page.getByLabel("URL").fill(there.url);
    await page.getByLabel("Description").fill(SAYS);
    await page.getByLabel("Which events").fill("type=job.succeeded nonsense");
    await expect(page.getByText("Not a word of a filter: nonsense")).toBeVisible();
    await expect(page.getByRole("button", { name: "Create" })).toBeDisabled();
    await page.getByLabel("Which events").fill("module=noop");
    await page.getByRole("group", { name: "Types" }).getByRole("button", { name: "job.succeeded" }).click();
    await page.getByRole("button", { name: "Create" }).click();
    const secret = (await page.getByTestId("secret").textContent())!.trim();
    expect(secret).toMatch(/^whsec_/);
    await accessible(page, "a secret that is shown once");
    await page.getByRole("button", { name: "I have it" }).click();
    await expect(page.getByTestId("secret")).toHaveCount(0);
    expect(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))).not.toContain("whsec_");

    await page.getByRole("link", { name: there.url }).click();
    await expect(page).toHaveURL(/webhooks\/[0-9a-f-]{36}/);
    await expect(page.getByText(/type=\S*job.succeeded\S* module=noop/)).toBeVisible();
    await page.getByRole("button", { name: "Send a test" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Send a test" }).click();
    const tested = page.locator("[data-delivery]", { hasText: "webhook.tested" });
    await expect(tested).toContainText("delivered", { timeout: 20_000 });
    await expect(tested).toContainText("204");
    expect(signed(there.arrived[0]!, secret)).toBe(true);
    expect(signed(there.arrived[0]!, "whsec_AAAA")).toBe(false);

    // A failure is told, and what was not taken is sent once more by a click.
    there.answers(500);
    await submit({ module: "noop", inputs: {} }, hooker);
    const told = page.locator("[data-delivery]", { hasText: "job.succeeded" });
    await expect(told).toContainText("500", { timeout: 20_000 });
    there.answers(204);
    await expect(told).toContainText("delivered", { timeout: 20_000 });
    const before = there.arrived.length;
    await told.getByRole("button", { name: /^Redeliver/ }).click();
    await expect.poll(() => there.arrived.length, { timeout: 20_000 }).toBe(before + 1);
    expect(there.arrived.at(-1)!.headers["webhook-id"]).toBe(await told.getAttribute("data-delivery"));
    await accessible(page, "deliveries");
    await picture(page, "webhook");

    await page.getByRole("button", { name: "Rotate secret" }).click();
    await expect(page.getByRole("dialog").getByRole("button", { name: "Rotate secret" })).toBeDisabled();
    await page.getByRole("button", { name: "maintenance" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Rotate secret" }).click();
    await expect(page.getByTestId("secret")).not.toHaveText(secret);
    await page.keyboard.press("Escape");
    await expect(page.getByText("rotated 1 times")).toBeVisible();

    await page.getByRole("button", { name: "Switch off" }).click();
    await page.getByLabel("Reason").fill("too loud");
    await page.getByRole("dialog").getByRole("button", { name: "Switch off" }).click();
    await expect(page.getByText("⊘ off")).toBeVisible();
    await page.getByRole("button", { name: "Change…" }).click();
    await expect(page).toHaveURL(/edit=1/);
    await expect(page.getByLabel("Description")).toHaveValue(SAYS);
    await page.getByLabel("Description").fill("quiet");
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByRole("article").getByText("quiet")).toBeVisible();
    const { body } = await api("GET", "/audit?user_id=hooker&verb=webhook", undefined, token("admin"));
    expect(body.acts.map(({ reason }: { reason?: string }) => reason)).toContain("too loud");

    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByLabel("Reason").fill("done with it");
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await expect(page).toHaveURL(/webhooks$/);
    await expect(page.getByText("None. A webhook")).toBeVisible();
  } finally {
    there.end();
  }
});

test("a refused address stands beside its field, and a token that reads is offered nothing", async ({ page }) => {
  await open(page, "webhooks?new=1");
  await page.getByLabel("URL").fill("https://10.0.0.1/");
  await page.getByRole("button", { name: "Create" }).click();
  await expect(page.getByRole("alert").first()).toContainText("422");
  const { body } = await api("POST", "/keys", { name: "reads", role: "user", scopes: ["compute:read"] });
  await open(page, "webhooks", body.secret);
  await expect(page.getByText("this token only reads")).toBeVisible();
  await expect(page.getByRole("button", { name: "New webhook…" })).toHaveCount(0);
});
