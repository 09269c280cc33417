import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** Where the API is while the console is worked on. */
const gateway = process.env.NOX_URL ?? "http://127.0.0.1:8081";

export default defineConfig({
  base: "/ui/",
  plugins: [react()],
  build: {
    outDir: "dist/ui",
    emptyOutDir: true,
    target: "es2022",
    // Those that know `light-dark()`: what stands for it in older ones does not work with Mantine's schemes.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // A picture within a style or script would need `data:` in more places of the policy.
    assetsInlineLimit: 0,
    // Chemistry is larger than this, and loaded where it is used.
    chunkSizeWarningLimit: 2500,
    manifest: true,
    // What the packages in it ask for is served beside it.
    license: { fileName: "licences.txt" },
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "^/(?!ui/)": gateway } },
  test: { include: ["src/**/*.test.ts"] },
  preview: { proxy: { "^/(?!ui/)": gateway } },
});
