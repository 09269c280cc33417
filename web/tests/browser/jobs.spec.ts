import { accessible, api, expect, open, submit, test, token, tokenOf } from "./nox";

test("counts obey the filter, and all jobs of a filter are cancelled after they were counted", async ({ page }) => {
  const bulk = tokenOf("bulk");
  const later = { run_at: "2036-01-01T00:00:00Z" };
  for (let each = 0; each < 7; each++) await submit({ module: "noop", inputs: {}, ...later, labels: { set: each < 4 ? "a" : "b" } }, bulk);
  await open(page, "jobs?label=set=a", bulk);
  await expect(page.getByRole("button", { name: /queued 4/ })).toBeVisible();
  await page.getByRole("button", { name: /queued 4/ }).click();
  await expect(page).toHaveURL(/label=set%3Da&status=queued|label=set=a&status=queued/);
  await page.getByRole("button", { name: "Cancel…" }).click();
  await expect(page.getByRole("dialog")).toContainText("Cancels 4 jobs");
  await accessible(page, "cancelling in bulk");
  // Nobody ends many jobs without saying why.
  await expect(page.getByRole("button", { name: "Cancel 4" })).toBeDisabled();
  await page.getByLabel("Reason").fill("Prüfung ✓ vorbei");
  await page.getByRole("button", { name: "Cancel 4" }).click();
  await expect(page.getByRole("dialog")).toContainText("4 done");
  await page.keyboard.press("Escape");
  // They left the list as they left the state.
  await expect(page.locator("[data-job]")).toHaveCount(0);
  const { body } = await api("GET", "/jobs?status=queued", undefined, bulk);
  expect(body.jobs.length).toBe(3);
  const acts = await api("GET", "/audit?user_id=bulk&verb=job.cancel", undefined, token("admin"));
  expect(acts.body.acts.map(({ reason }: { reason: string }) => reason)).toEqual(Array(4).fill("Prüfung ✓ vorbei"));
});

test("each facet says what its choice would give, and follows what happens", async ({ page }) => {
  const counter = tokenOf("counter");
  const later = { run_at: "2036-01-01T00:00:00Z" };
  await submit({ module: "noop", inputs: {}, ...later, labels: { colour: "blue" } }, counter);
  await submit({ module: "noop", inputs: {}, ...later, labels: { colour: "red" } }, counter);
  await submit({ module: "xtb_hello", inputs: { text: "x" }, ...later }, counter);
  await open(page, "jobs?status=failed", counter);
  // Of the states, all are counted but by the states that are chosen.
  await expect(page.getByRole("button", { name: /queued 3/ })).toBeVisible();
  await expect(page.getByRole("button", { name: /failed 0/ })).toHaveAttribute("aria-pressed", "true");
  await open(page, "jobs?module=noop", counter);
  await expect(page.getByRole("button", { name: /queued 2/ })).toBeVisible();
  await expect(page.getByRole("combobox", { name: /^Module/ }).locator("option")).toHaveText(["any", "✓ noop (2)", "xtb_hello (1)"]);
  await expect(page.getByRole("combobox", { name: /^colour/ }).locator("option")).toHaveText(["any", "blue (1)", "red (1)"]);
  await expect(page.locator(".live")).toHaveAttribute("data-live", "live");
  await submit({ module: "noop", inputs: {}, ...later }, counter);
  await expect(page.getByRole("button", { name: /queued 3/ })).toBeVisible();
  await page.getByRole("combobox", { name: /^colour/ }).selectOption("blue");
  await expect(page).toHaveURL(/label=colour%3Dblue|label=colour=blue/);
  await expect(page.locator("[data-job]")).toHaveCount(1);
});

test("a view is saved under a name, and forgotten", async ({ page }) => {
  await open(page, "jobs?status=failed&module=noop");
  await page.getByRole("button", { name: "Views…" }).click();
  await page.getByLabel("Name of what is chosen now").fill("mine <b>");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  await open(page, "jobs");
  await page.getByRole("combobox", { name: /^View/ }).selectOption("mine <b>");
  await expect(page).toHaveURL(/status=failed&module=noop/);
  await page.getByRole("button", { name: "Views…" }).click();
  await page.getByRole("button", { name: "Forget mine <b>" }).click();
  await expect(page.getByRole("button", { name: "Forget mine <b>" })).toHaveCount(0);
});

test("a new job comes into the list by itself, and its state follows", async ({ page }) => {
  const follower = tokenOf("follower");
  await submit({ module: "noop", inputs: {} }, follower);
  await open(page, "jobs", follower);
  await expect(page.locator("[data-job]")).toHaveCount(1);
  await expect(page.locator(".live")).toHaveAttribute("data-live", "live");
  const id = await submit({ command: "sleep 5" }, follower);
  const row = page.locator(`[data-job="${id}"]`);
  await expect(row).toBeVisible();
  await expect(row.locator(".state")).toHaveAttribute("data-state", "running");
  await expect(row.locator(".state")).toHaveAttribute("data-state", "succeeded", { timeout: 20_000 });
});

test("a key that only reads is offered nothing that changes", async ({ page }) => {
  const { body } = await api("POST", "/keys", { name: "reads", role: "user", scopes: ["compute:read"] });
  const id = await submit({ module: "noop", inputs: {}, run_at: "2036-01-01T00:00:00Z" });
  await open(page, `jobs/${id}`, body.secret);
  await expect(page.getByTestId("why")).not.toBeEmpty();
  await expect(page.getByRole("button", { name: "Cancel…" })).toHaveCount(0);
  await open(page, "jobs", body.secret);
  await expect(page.getByText("this token only reads")).toBeVisible();
  // Counting asks for nothing that a reader may not.
  await expect(page.getByRole("button", { name: /queued \d/ })).toBeVisible();
  await open(page, `jobs/${id}`);
  await expect(page.getByRole("button", { name: "Cancel…" })).toBeVisible();
});

test("what arrows show in a facet is chosen by Enter, and by nothing before", async ({ page }) => {
  const typist = tokenOf("typist");
  const later = { run_at: "2036-01-01T00:00:00Z" };
  for (const colour of ["blue", "red"]) await submit({ module: "noop", inputs: {}, ...later, labels: { colour } }, typist);
  await open(page, "jobs", typist);
  const colour = page.getByRole("combobox", { name: /^colour/ });
  await colour.focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await expect(colour).toHaveValue("red");
  await expect(page).not.toHaveURL(/label/);
  await page.keyboard.press("Escape");
  await expect(colour).toHaveValue("");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/label=colour%3Dblue|label=colour=blue/);
  await expect(page.locator("[data-job]")).toHaveCount(1);
  // Another one takes its place: the API has one label.
  await colour.selectOption("red");
  await expect(page).toHaveURL(/label=colour%3Dred|label=colour=red/);
  await expect(page.locator("[data-job]")).toHaveCount(1);
  // From the open list, by keys alone.
  await colour.focus();
  await page.keyboard.press("Space");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/label=colour%3Dblue|label=colour=blue/);
});

test("a job comes into a filtered list when it enters what the filter chooses", async ({ page }) => {
  const enterer = tokenOf("enterer");
  await open(page, "jobs?status=running", enterer);
  await expect(page.locator(".live")).toHaveAttribute("data-live", "live");
  const id = await submit({ command: "sleep 4" }, enterer);
  await expect(page.locator(`[data-job="${id}"]`)).toBeVisible();
  await expect(page.locator(`[data-job="${id}"]`)).toHaveCount(0, { timeout: 20_000 });
  await open(page, "jobs?status=canceled", enterer);
  const waits = await submit({ module: "noop", inputs: {}, run_at: "2036-01-01T00:00:00Z" }, enterer);
  // Behind what was asked for when it was submitted.
  await page.waitForTimeout(2500);
  await expect(page.locator("[data-job]")).toHaveCount(0);
  await api("POST", `/jobs/${waits}/cancel`, undefined, enterer);
  await expect(page.locator(`[data-job="${waits}"]`)).toBeVisible();
});
