import { ended, expect, open, submit, test, tokenOf } from "./nox";

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
