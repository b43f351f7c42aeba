import type { AfterbayError } from "../errors.ts";
import type { Resolution, ResolveReason } from "./resolution.ts";
import type { TraceEvent } from "./trace.ts";

/** A trace event before its time is put to it. */
type Untimed = TraceEvent extends infer Event ? (Event extends TraceEvent ? Omit<Event, "at"> : never) : never;

/** Events that are kept for those who come to watch later. */
const KEPT = 16;

/** A URL that its upstream refused. */
export interface Refusal {
  readonly resolution: Resolution;
  readonly error: AfterbayError;
  /** Times in a row. */
  readonly times: number;
}

/**
 * The tries spent on one hole that someone wants. The layers that retry and refresh share it, so that their budgets
 * hold together; any byte that arrives starts them afresh.
 */
export class Need {
  /** Retries after a transient failure, without a byte since. */
  retries = 0;
  /** Times another URL was asked for because one was refused, without a byte since. */
  refreshes = 0;
  /** Why the resolver is asked next. */
  reason: ResolveReason = "first";

  /** Milliseconds that the resolver took, if it was asked. */
  resolveMs: number | undefined;

  /** What the resolver said last: hints of what is to come. */
  resolution: Resolution | undefined;

  /** The URL that was refused last without a byte since. */
  refusal: Refusal | undefined;

  /** What failed last without a byte since: the reason to give when there is no more time to wait. */
  lastFailure: unknown;

  /** The monotonic ms that events carry. */
  readonly now: () => number;
  readonly #watchers = new Set<(event: TraceEvent) => void>();
  /** Oldest first. */
  readonly #events: TraceEvent[] = [];

  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  /** Counts from 1: the number of this try as the resolver sees it. */
  get attempt(): number {
    return this.refreshes + 1;
  }

  /** True while a request is under way of which nothing has come yet. */
  get awaitsAnswer(): boolean {
    const last = this.#events.at(-1);
    return last?.event === "window" && last.ms === undefined && last.firstByteMs === undefined;
  }

  /** Tells those who watch what is done for this need; answers the event, to be filled in as it goes on. */
  tell<Event extends Untimed>(untimed: Event): Event & { readonly at: number } {
    const event = { at: this.now(), ...untimed };
    this.#events.push(event);
    if (this.#events.length > KEPT) this.#events.shift();
    for (const watcher of this.#watchers) watcher(event);
    return event;
  }

  /** Tells `watcher` the last events so far, and those to come until the returned function is called. */
  watch(watcher: (event: TraceEvent) => void): () => void {
    for (const event of this.#events) watcher(event);
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** A byte arrived. */
  progress(): void {
    this.retries = 0;
    this.refreshes = 0;
    this.reason = "first";
    this.refusal = undefined;
    this.lastFailure = undefined;
  }
}
