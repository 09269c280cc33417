import { api, ended, expect, open, submit, test, token, tokenOf } from "./nox";

const SCRIPT = `<img src=x onerror="alert(1)"><script>alert(2)</script>"'\`{{7*7}}`;
const BIDI = "\u202Egnp.exe\u2066\u200B";

test("what users write is shown and not obeyed", async ({ page }) => {
  const name = `eve ${SCRIPT} ${BIDI}`;
  const eve = tokenOf(name.replace(/[\x00-\x1f]/g, ""));
  const id = await submit(
    { module: "xtb_hello", inputs: { text: `${SCRIPT}${BIDI}` }, labels: { [`x`]: `javascript:${SCRIPT}${BIDI}` }, release_id: BIDI + SCRIPT.slice(0, 60) },
    eve,
  );
  await ended(id, eve);
  const log = await submit({ command: `printf '\\033]0;owned\\007\\033[2J%s\\n' '<script>alert(3)</script>'; printf '\\342\\200\\256reversed\\n'; head -c 1000000 /dev/zero | tr '\\0' 'A'` }, eve);
  await ended(log, eve);
  for (const screen of ["overview", "jobs", `jobs/${id}`, `jobs/${id}?tab=inputs`, `jobs/${id}?tab=result`, `jobs/${id}?tab=events`, `jobs/${id}?tab=past`, `jobs/${id}?tab=files`]) {
    await open(page, screen, eve);
    await expect(page.locator("h1").first()).toBeVisible();
    await expect(page.locator(".live")).toHaveAttribute("data-live", "live");
    expect(await page.locator("main img, main script").count()).toBe(0);
  }
  await open(page, `jobs/${log}?tab=logs`, eve);
  await page.getByLabel("keep to the end").uncheck();
  await page.locator(".log").evaluate((element) => element.scrollTo(0, 0));
  await expect(page.locator(".line").first()).toContainText("<script>alert(3)</script>");
  await expect(page.locator(".line").nth(1)).toContainText("‹202e›reversed");
  await expect(page).toHaveTitle(/^Jobs · /);
});

test("names and reasons of users are texts on every screen that shows them", async ({ page }) => {
  const name = `mal ${SCRIPT}`;
  const mal = tokenOf(name);
  const bad = `${SCRIPT}${BIDI}`;
  const key = await api("POST", "/keys", { name: bad }, mal);
  const hook = await api("POST", "/webhooks", { url: `https://example.org/?q=${encodeURIComponent(SCRIPT)}`, description: bad, enabled: false, filter: { label: [`x=${bad}`] } }, mal);
  const schedule = await api("POST", "/schedules", { name: bad, cron: "@yearly", job: { module: "xtb_hello", inputs: { text: bad }, labels: { x: bad } } }, mal);
  for (const { status, body } of [key, hook, schedule]) expect(status, JSON.stringify(body)).toBe(201);
  const id = await submit({ module: "noop", inputs: {}, run_at: "2036-01-01T00:00:00Z", labels: { x: bad } }, mal);
  await open(page, `jobs/${id}`, mal);
  await page.getByRole("button", { name: "Cancel…" }).click();
  await page.getByLabel("Reason").fill(bad);
  await page.getByRole("button", { name: "Cancel the job" }).click();
  await expect(page.locator(".because .state")).toHaveAttribute("data-state", "canceled");
  const screens: [screen: string, as: string][] = [
    ["jobs", mal], [`jobs/${id}?tab=events`, mal], ["keys", mal], ["webhooks", mal], [`webhooks/${hook.body.id}`, mal], [`webhooks/${hook.body.id}?edit=1`, mal],
    ["schedules", mal], [`schedules/${schedule.body.id}`, mal], [`schedules/${schedule.body.id}?edit=1`, mal], ["quotas", mal],
    [`audit?user_id=${encodeURIComponent(name)}`, token("admin")], ["streams?tab=replay&module=" + encodeURIComponent(bad), mal],
  ];
  for (const [screen, as] of screens) {
    await open(page, screen, as);
    await expect(page.locator("h1").first()).toBeVisible();
    await expect(page.locator(".live")).toHaveAttribute("data-live", "live");
    await expect(page.getByText("Loading…")).toHaveCount(0);
    await expect(page.locator("main")).toContainText("onerror");
    expect(await page.locator("main img, main script, main iframe").count(), screen).toBe(0);
  }
});

test("filters of an address are texts", async ({ page }) => {
  await open(page, `jobs?label=${encodeURIComponent(`x=${SCRIPT}${BIDI}`)}&status=nonsense`);
  await expect(page.getByRole("alert")).toContainText("422");
});

test("digits stay as they are", async ({ page }) => {
  const id = await submit({ module: "xtb_hello", inputs: { text: "9007199254740993" } });
  const exact = "18446744073709551616";
  await page.route("**/jobs/*", async (route) => {
    if (route.request().method() !== "GET" || !route.request().url().endsWith(id)) return route.continue();
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replace('"9007199254740993"', exact) });
  });
  await open(page, `jobs/${id}?tab=inputs`);
  await expect(page.getByLabel("inputs", { exact: true })).toContainText(exact);
});
