/** Instants and spans for people. The API writes RFC 3339 in UTC, to the microsecond. */
export type Zone = "local" | "utc";

const OPTIONS: Intl.DateTimeFormatOptions = {
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
};
const FORMATS: Record<Zone, Intl.DateTimeFormat> = {
  local: new Intl.DateTimeFormat("sv-SE", OPTIONS),
  utc: new Intl.DateTimeFormat("sv-SE", { ...OPTIONS, timeZone: "UTC" }),
};

export function instant(at: string, zone: Zone): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return at;
  return FORMATS[zone].format(date) + (zone === "utc" ? "Z" : "");
}

/** Until `to`, or now; never negative, for clocks differ. */
export const between = (from: string, to: string | null | undefined, now: number): number =>
  Math.max(0, ((to ? Date.parse(to) : now) - Date.parse(from)) / 1000);

export function span(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function ago(at: string, now: number): string {
  const seconds = (now - Date.parse(at)) / 1000;
  if (Number.isNaN(seconds)) return at;
  const unit = (value: number, word: string) => `${Math.floor(value)} ${word}`;
  if (Math.abs(seconds) < 1) return "now";
  const [size, sign] = [Math.abs(seconds), seconds < 0 ? "in " : ""];
  const text =
    size < 60 ? unit(size, "s") : size < 3600 ? unit(size / 60, "min") : size < 172_800 ? unit(size / 3600, "h") : unit(size / 86_400, "d");
  return sign + text + (sign ? "" : " ago");
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  const steps = ["KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(Math.floor(Math.log2(count) / 10), steps.length);
  return `${(count / 2 ** (10 * step)).toFixed(1)} ${steps[step - 1]}`;
}
