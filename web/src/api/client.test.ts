import { expect, test } from "vitest";
import { headerText, search } from "./client";

test("a reason is UTF-8 in letters of one byte, without control characters", () => {
  const sent = headerText("  Prüfung ✓\r\nNox-Other: \u202E1 ");
  expect([...sent].every((letter) => letter.charCodeAt(0) < 256)).toBe(true);
  const bytes = Uint8Array.from(sent, (letter) => letter.charCodeAt(0));
  expect(new TextDecoder().decode(bytes)).toBe("Prüfung ✓ Nox-Other:  1");
  expect(new Headers({ "Nox-Reason": sent }).get("nox-reason")).toBe(sent);
});

test("what is not given is not asked for", () => {
  expect(search({ a: undefined, b: "", "status!": "failed", n: 0 })).toBe("?status!=failed&n=0");
});
