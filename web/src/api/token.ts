/**
 * Who asks. The token is kept for the tab, and in nothing that is sent, logged or in the history: a link has it in
 * its fragment, which browsers send nobody, and it is taken out of the address before anything else happens.
 */
const KEY = "nox.token";

export function takeFromLink(): boolean {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return false;
  keep(given);
  history.replaceState(history.state, "", location.pathname + location.search);
  return true;
}

export function kept(): string | null {
  return sessionStorage.getItem(KEY);
}

export function keep(token: string): void {
  sessionStorage.setItem(KEY, token.trim().replace(/^Bearer\s+/i, ""));
}

export function forget(): void {
  sessionStorage.removeItem(KEY);
}

/** What the token says of itself, unproved: to hide what it does not allow. The server decides. */
export function mayWrite(): boolean {
  const scope = claims()["scope"];
  const words = typeof scope === "string" ? scope.split(" ") : [];
  return words.includes("compute:write") || !words.includes("compute:read");
}

function claims(): Record<string, unknown> {
  try {
    const part = kept()?.split(".")[1] ?? "";
    return JSON.parse(atob(part.replace(/-/g, "+").replace(/_/g, "/"))) as Record<string, unknown>;
  } catch {
    return {};
  }
}
