import { defineConfig } from "@playwright/test";

/** Debian's Chromium, against a real `noxctl dev`. */
export default defineConfig({
  testDir: "tests/browser",
  globalSetup: "./tests/browser/system.ts",
  // One system, one after another: a test that counts jobs has none of another's.
  workers: 1,
  fullyParallel: false,
  timeout: 60_000,
  reporter: [["list"]],
  outputDir: "test-results",
  use: {
    viewport: { width: 1280, height: 800 },
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: process.env.NOX_CHROMIUM ?? "/usr/bin/chromium",
      // Quiet and offline; molecules are drawn without a graphics card.
      args: [
        "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
      ],
    },
  },
});
