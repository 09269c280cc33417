import { accessible, api, expect, open, submit, test, token, tokenOf } from "./nox";

test("the queue as it was: a job that is gone stands there", async ({ page }) => {
  const then = tokenOf("then");
  const id = await submit({ module: "noop", inputs: {}, run_at: "2036-01-01T00:00:00Z" }, then);
  const { body } = await api("GET", `/jobs/${id}`, undefined, then);
  await api("POST", `/jobs/${id}/cancel`, undefined, then);
  await open(page, `streams?tab=then&as_of=${body.n}`, then);
  await expect(page.getByRole("status").filter({ hasText: `Frame ${body.n}` })).toBeVisible();
  await expect(page.getByTitle(id)).toBeVisible();
  await accessible(page, "the state of then");
  await page.getByRole("button", { name: "← frame before" }).click();
  await expect(page).toHaveURL(new RegExp(`as_of=${body.n - 1}`));
  await expect(page.getByText("None that you see.")).toBeVisible();
  await page.getByLabel("As of").fill("nonsense<script>");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toContainText("422");
});

test("readers of the log, and commands that name what was typed", async ({ page }) => {
  await open(page, "streams", token("admin"));
  await expect(page.locator("[data-reader]").first()).toBeVisible();
  await expect(page.locator("[data-stream=NOX_EVENTS]")).toContainText("%");
  await accessible(page, "streams");
  await page.getByRole("tab", { name: "Replay and proofs" }).click();
  await page.getByLabel("From frame").fill("17");
  await page.getByLabel("Module").fill("x'; rm -rf /");
  await expect(page).toHaveURL(/from=17/);
  await expect(page.getByText(`noxctl events replay --from 17 --module 'x'\\''; rm -rf /' --output jsonl`)).toBeVisible();
  await expect(page.getByText("noxctl replay verify")).toBeVisible();
});
