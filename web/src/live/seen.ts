/**
 * A browser has six connections to a server over HTTP/1.1, for all of its tabs together. A tab that nobody has seen for a
 * while gives its own back, and goes on behind the last event it had when it is seen again.
 */
import type { Connection } from "./connection";

/** So long a tab that is left keeps its connection, for whoever looks elsewhere for a moment. */
export const UNSEEN_MS = 5000;

type Page = Pick<Document, "hidden" | "addEventListener" | "removeEventListener">;

/** Until what it gives back is called. */
export function whileSeen(connection: Pick<Connection, "rest" | "wake">, page: Page): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const changed = () => {
    clearTimeout(timer);
    if (page.hidden) timer = setTimeout(() => connection.rest(), UNSEEN_MS);
    else connection.wake();
  };
  changed();
  page.addEventListener("visibilitychange", changed);
  return () => {
    clearTimeout(timer);
    page.removeEventListener("visibilitychange", changed);
  };
}
