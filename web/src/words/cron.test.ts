import { expect, test } from "vitest";
import { cronWords } from "./cron";

test("the commonest lines of cron in words, and no guess at others", () => {
  const said = ["@daily", "*/15 * * * *", "5 * * * *", "0 6 * * *", "30 9 * * MON-FRI", "0 9 * * 1,3", "0 0 1 * *", "0 */6 * * *"].map(cronWords);
  expect(said).toEqual([
    "every day at 00:00", "every 15 minutes", "every hour, at minute 5", "every day at 06:00", "Monday to Friday at 09:30",
    "every Monday, Wednesday at 09:00", "on day 1 of every month at 00:00", "every 6 hours, at minute 0",
  ]);
  // Seven does not divide the hour: it is not every seven minutes. Day and weekday together mean either.
  for (const other of ["", "*/7 * * * *", "0 0 13 * FRI", "0 0 L * *", "0 0 * * 5#2", "0 0 * 2 *", "* * * * * *", "@often"]) expect(cronWords(other)).toBeNull();
});
