/**
 * The one connection on which the console hears what happens. It reads `GET /events` by fetch, for `EventSource`
 * cannot carry a token; it comes back with the last id that it has, so that nothing is lost between.
 */
import { ask } from "../api/client";
import { forgetFrame, heardOf } from "../api/heard";
import { Problem } from "../api/problem";
import type { CloudEvent } from "../api/schema";
import { messages } from "./sse";

export type Heard = CloudEvent & { type: string; time: string; id: string; data: Record<string, unknown> };

export type LiveState = {
  /** `paused` is by the user: nothing is read, and nothing asked for again. */
  state: "connecting" | "live" | "cut" | "paused" | "refused";
  lastId: string | null;
  /** Between when it was decided and when it was heard, of the newest event, in ms. */
  lagMs: number | null;
  heard: number;
  problem: Problem | null;
};

const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 15_000;
/** The server says something at least every 15 s; after so long the connection is dead whatever TCP says. */
const SILENCE_MS_MAX = 40_000;

const BEGIN: LiveState = { state: "connecting", lastId: null, lagMs: null, heard: 0, problem: null };

export class Connection {
  #state = BEGIN;
  #watchers = new Set<() => void>();
  #takers = new Set<(events: Heard[]) => void>();
  #fresh = new Set<() => void>();
  #waiting: Heard[] = [];
  #frame = 0;
  #abort: AbortController | null = null;
  #resting = false;

  readonly subscribe = (watcher: () => void) => {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  };

  readonly snapshot = () => this.#state;

  /** `taker` is given what came, at most once a frame. */
  take(taker: (events: Heard[]) => void): () => void {
    this.#takers.add(taker);
    return () => void this.#takers.delete(taker);
  }

  /** `taker` is told when the connection begins with now: what happened between it and earlier answers is not told. */
  whenFresh(taker: () => void): () => void {
    this.#fresh.add(taker);
    return () => void this.#fresh.delete(taker);
  }

  start() {
    if (this.#abort) return;
    this.#abort = new AbortController();
    void this.#run(this.#abort.signal);
  }

  stop() {
    this.#abort?.abort();
    this.#abort = null;
  }

  /** The next start is somebody else's. */
  end() {
    this.stop();
    this.#resting = false;
    this.#waiting = [];
    this.#say(BEGIN);
  }

  pause() {
    this.stop();
    this.#resting = false;
    this.#say({ state: "paused" });
  }

  /** Goes on where it was paused: what happened meanwhile is told. */
  resume() {
    this.#resting = false;
    this.#say({ state: "connecting" });
    this.start();
  }

  /** Gives the connection back, while nobody sees the page. */
  rest() {
    if (!this.#abort || this.#state.state === "refused") return;
    this.stop();
    this.#resting = true;
    this.#say({ state: "connecting" });
  }

  /** Goes on where it rested; what is paused or refused stays so. */
  wake() {
    if (!this.#resting) return;
    this.#resting = false;
    this.start();
  }

  #say(change: Partial<LiveState>) {
    this.#state = { ...this.#state, ...change };
    this.#watchers.forEach((watcher) => watcher());
  }

  async #run(signal: AbortSignal) {
    let delay = RETRY_MS_MIN;
    while (!signal.aborted) {
      try {
        await this.#read(signal, () => (delay = RETRY_MS_MIN));
        this.#cut(signal, null);
      } catch (error) {
        const problem = Problem.from(error);
        if (problem.status === 410 || problem.status === 422) {
          // Another log has begun, or this one is cut: from now on.
          this.#say({ lastId: null });
          forgetFrame();
        }
        if (problem.status === 401 || problem.status === 403) {
          if (!signal.aborted) this.#say({ state: "refused", problem });
          return;
        }
        this.#cut(signal, problem);
      }
      await new Promise((done) => setTimeout(done, delay * (0.5 + Math.random() / 2)));
      delay = Math.min(delay * 2, RETRY_MS_MAX);
    }
  }

  #cut(signal: AbortSignal, problem: Problem | null) {
    if (!signal.aborted) this.#say({ state: "cut", problem });
  }

  async #read(outer: AbortSignal, opened: () => void) {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_MS_MAX);
    const heardSomething = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS_MAX);
    };
    try {
      const headers: Record<string, string> = { Accept: "text/event-stream" };
      if (this.#state.lastId !== null) headers["Last-Event-ID"] = this.#state.lastId;
      const response = await ask("GET", "/events", { headers, signal: AbortSignal.any([outer, silence.signal]) });
      if (!response.body) return;
      opened();
      this.#say({ state: "live", problem: null });
      if (this.#state.lastId === null) this.#fresh.forEach((taker) => taker());
      for await (const message of messages(response.body)) {
        if (outer.aborted) return;
        heardSomething();
        if (message.event === "end") return;
        if (message.id !== null) {
          this.#state = { ...this.#state, lastId: message.id };
          heardOf(message.id);
        }
        if (message.data !== "") this.#hear(JSON.parse(message.data) as Heard);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #hear(event: Heard) {
    this.#waiting.push(event);
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const events = this.#waiting;
      this.#waiting = [];
      const newest = events.at(-1);
      const lagMs = newest ? Math.max(0, Date.now() - Date.parse(newest.time)) : null;
      this.#say({ heard: this.#state.heard + events.length, lagMs });
      this.#takers.forEach((taker) => taker(events));
    });
  }
}

export const live = new Connection();
