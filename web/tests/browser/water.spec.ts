import { ended, expect, open, test, tokenOf } from "./nox";

test("an optimized, animated water in four clicks and ten seconds", async ({ page }) => {
  await open(page, "overview");
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();
  const begun = Date.now();
  await page.getByRole("link", { name: "New job" }).click();
  await page.getByRole("button", { name: "Water" }).click();
  await page.getByRole("button", { name: "Submit" }).click();
  await page.getByRole("button", { name: "Animate" }).first().click();
  await expect(page.locator(".molecule[data-shown=vibration] canvas").first()).toBeVisible();
  await expect(page.getByTestId("mode")).toContainText("cm⁻¹");
  const took = Date.now() - begun;
  console.log(`from the overview to a vibrating water: 4 clicks, ${took} ms`);
  expect(took).toBeLessThan(10_000);
  await expect(page.locator("[data-scalar=E_total_hartree]")).toContainText("-5.070");
});

test("SMILES become coordinates, and the server's checks stand beside the field", async ({ page }) => {
  await open(page, "new/xtb");
  const field = page.getByRole("textbox", { name: "xyz" });
  await field.fill("CO");
  await page.getByRole("button", { name: "Make 3D coordinates" }).click();
  await expect(field).toHaveValue(/^6\n/);
  await expect(page.getByText("CH4O, 6 atoms")).toBeVisible();
  await page.getByLabel("multiplicity").fill("2");
  await page.getByRole("button", { name: "Submit" }).click();
  await expect(page.getByRole("alert")).toContainText("422");
  await expect(page.locator(".mantine-Input-wrapper ~ .mantine-InputWrapper-error, .mantine-InputWrapper-error")).toBeVisible();
  await page.getByLabel("multiplicity").fill("1");
  await page.getByRole("button", { name: "Submit" }).click();
  await expect(page).toHaveURL(/\/ui\/jobs\//);
});

test("a structure is drawn", async ({ page }) => {
  await open(page, "new/xtb");
  await page.getByRole("button", { name: "Draw" }).click();
  const canvas = page.locator(".draw canvas").last();
  await expect(canvas).toBeVisible();
  const box = (await canvas.boundingBox())!;
  // The tool that is chosen first draws bonds; a click on nothing begins one.
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  await expect(page.getByRole("textbox", { name: "xyz" })).toHaveValue(/^\d+\n/, { timeout: 20_000 });
});

test("a molecule beyond what inputs hold is uploaded, and stays usable", async ({ page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await open(page, "new/xtb");
  const atoms = Array.from({ length: 2001 }, (_, at) => `He ${(at % 13) * 3} ${(Math.floor(at / 13) % 13) * 3} ${Math.floor(at / 169) * 3}`);
  await page.evaluate((text) => navigator.clipboard.writeText(text), `2001\nhelium\n${atoms.join("\n")}\n`);
  const begun = Date.now();
  await page.getByRole("textbox", { name: "xyz" }).focus();
  await page.keyboard.press("Control+V");
  await expect(page.getByText("He2001, 2001 atoms")).toBeVisible({ timeout: 20_000 });
  console.log(`2,001 atoms are shown ${Date.now() - begun} ms after they were pasted`);
  await page.getByRole("checkbox", { name: "opt" }).uncheck();
  await page.getByRole("checkbox", { name: "hess" }).uncheck();
  await page.getByRole("combobox", { name: "gfn" }).selectOption({ label: "ff" });
  await page.getByRole("button", { name: "Submit" }).click();
  await expect(page).toHaveURL(/\/ui\/jobs\//);
  await page.goto(`${page.url().split("?")[0]}?tab=inputs`);
  await expect(page.getByLabel("inputs", { exact: true })).toContainText("$upload");
});

test("resources are those of the module until another is said, and a repeat has those of its job", async ({ page }) => {
  const asker = tokenOf("asker");
  await open(page, "new/noop", asker);
  await page.getByText("Resources, priority and label").click();
  await expect(page.getByLabel("longest run")).not.toHaveValue("");
  await page.getByLabel("cores").fill("1");
  await page.getByLabel("memory").fill("48");
  await page.getByLabel("longest run").fill("0");
  await expect(page.getByTestId("judged")).toContainText("It would be refused");
  await page.getByLabel("longest run").fill("45");
  await expect(page.getByTestId("judged")).toContainText("reserves 45 core seconds");
  await page.getByRole("button", { name: "Submit" }).click();
  await expect(page).toHaveURL(/\/ui\/jobs\/[0-9a-f-]{36}/);
  const first = page.url().match(/[0-9a-f-]{36}/)![0];
  expect((await ended(first, asker)).requested_resources).toMatchObject({ cpu: 1, mem_mb: 48, wall_time_s: 45 });
  await open(page, `new/noop?from=${first}`, asker);
  await page.getByText("Resources, priority and label").click();
  await expect(page.getByLabel("memory")).toHaveValue("48");
  await page.getByLabel("longest run").fill("46");
  await page.getByRole("button", { name: "Submit" }).click();
  await expect(page).toHaveURL(/\/ui\/jobs\/[0-9a-f-]{36}/);
  const second = page.url().match(/[0-9a-f-]{36}/)![0];
  const repeated = await ended(second, asker);
  expect(repeated.retry_of).toBe(first);
  expect(repeated.requested_resources).toMatchObject({ cpu: 1, mem_mb: 48, wall_time_s: 46 });
});

test("an uploaded molecule is named where it runs again, and kept unless another is given", async ({ page }) => {
  const uploader = tokenOf("uploader");
  const xyz = `300\nhelium\n${Array.from({ length: 300 }, (_, at) => `He ${(at % 10) * 3} ${(Math.floor(at / 10) % 10) * 3} ${Math.floor(at / 100) * 3}`).join("\n")}\n${" ".repeat(3000)}`;
  await open(page, "new/xtb", uploader);
  const field = page.getByRole("textbox", { name: "xyz" });
  await field.fill(xyz);
  await page.getByRole("combobox", { name: "gfn" }).selectOption({ label: "ff" });
  await page.getByRole("checkbox", { name: "opt" }).uncheck();
  await page.getByRole("checkbox", { name: "hess" }).uncheck();
  await page.getByRole("button", { name: "Submit" }).click();
  await expect(page).toHaveURL(/\/ui\/jobs\/[0-9a-f-]{36}/);
  const first = page.url().match(/[0-9a-f-]{36}/)![0];
  const { inputs } = await ended(first, uploader);
  expect(inputs.xyz.$upload).toBeTruthy();
  // In the same tab, which knows the bytes that it sent, and in one that does not.
  await page.getByRole("link", { name: /other inputs|Run again/ }).first().click();
  await expect(page.getByText(`uploaded, sha256 ${inputs.xyz.sha256.slice(0, 16)}…, ${xyz.length.toLocaleString("en")} bytes`)).toBeVisible();
  await page.reload();
  await expect(page.getByText(`uploaded, sha256 ${inputs.xyz.sha256.slice(0, 16)}…`)).toBeVisible();
  await field.fill("no");
  await expect(page.getByText("uploaded, sha256")).toHaveCount(0);
  await field.fill("");
  await expect(page.getByText("uploaded, sha256")).toBeVisible();
  await page.getByRole("button", { name: "Submit" }).click();
  await expect(page).not.toHaveURL(new RegExp(`${first}|/new/`));
  const second = page.url().match(/[0-9a-f-]{36}/)![0];
  expect((await ended(second, uploader)).inputs.xyz).toEqual(inputs.xyz);
});
