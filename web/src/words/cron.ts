/** What the commonest lines of cron say, for people; null of all others, which stand for themselves. */
const WORDS: Record<string, string> = {
  "@hourly": "at the beginning of every hour",
  "@daily": "every day at 00:00",
  "@midnight": "every day at 00:00",
  "@weekly": "every Sunday at 00:00",
  "@monthly": "on the 1st of every month at 00:00",
  "@yearly": "on the 1st of January at 00:00",
  "@annually": "on the 1st of January at 00:00",
};
const DAYS: Record<string, string> = {
  "0": "Sunday", "1": "Monday", "2": "Tuesday", "3": "Wednesday", "4": "Thursday", "5": "Friday", "6": "Saturday", "7": "Sunday",
  SUN: "Sunday", MON: "Monday", TUE: "Tuesday", WED: "Wednesday", THU: "Thursday", FRI: "Friday", SAT: "Saturday",
};

export function cronWords(cron: string): string | null {
  const text = cron.trim();
  if (text.startsWith("@")) return WORDS[text.toLowerCase()] ?? null;
  const [minute = "", hour = "", day, month, weekday = "", ...more] = text.split(/\s+/);
  if (more.length > 0 || month !== "*") return null;
  const step = /^\*\/(\d+)$/;
  const all = day === "*" && weekday === "*";
  if (all && hour === "*") {
    if (minute === "*") return "every minute";
    const [, minutes] = step.exec(minute) ?? [];
    if (minutes && 60 % Number(minutes) === 0) return `every ${minutes} minutes`;
    return /^\d+$/.test(minute) ? `every hour, at minute ${minute}` : null;
  }
  if (!/^\d+$/.test(minute)) return null;
  const [, hours] = step.exec(hour) ?? [];
  if (all && hours && 24 % Number(hours) === 0) return `every ${hours} hours, at minute ${minute}`;
  if (!/^\d+$/.test(hour)) return null;
  const at = `at ${hour.padStart(2, "0")}:${minute.padStart(2, "0")}`;
  if (all) return `every day ${at}`;
  if (day === "*") {
    const range = /^(\w+)-(\w+)$/.exec(weekday.toUpperCase());
    const name = (each: string | undefined) => DAYS[each?.toUpperCase() ?? ""];
    if (range) return name(range[1]) && name(range[2]) ? `${name(range[1])} to ${name(range[2])} ${at}` : null;
    const named = weekday.split(",").map(name);
    return named.every(Boolean) ? `every ${named.join(", ")} ${at}` : null;
  }
  return weekday === "*" && /^\d+$/.test(day ?? "") ? `on day ${day} of every month ${at}` : null;
}
