/** Whether somebody is signed in, for the parts of the page that depend on it. */
import { useSyncExternalStore } from "react";
import { forget, keep, kept } from "../api/token";

type Session = { token: string | null; because: string };

let session: Session = { token: kept(), because: "" };
const watchers = new Set<() => void>();

function become(next: Session) {
  session = next;
  watchers.forEach((watcher) => watcher());
}

export function signIn(token: string) {
  keep(token);
  become({ token: kept(), because: "" });
}

export function signOut() {
  forget();
  become({ token: null, because: "" });
}

export const sessionEnded = (because: string) => become({ token: null, because });

export function useSession(): Session {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => void watchers.delete(watcher);
    },
    () => session,
  );
}
