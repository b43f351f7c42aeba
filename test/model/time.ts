import type { Clock } from "../../src/data-source/clock.ts";

interface Event {
  readonly at: number;
  readonly order: number;
  readonly owner: object;
  act: (() => void) | undefined;
}

/** No run has more, unless something goes round in circles. */
const MAX_EVENTS = 300_000;
/** Turns of the event loop that work may take without an event. */
const TURNS = 4;
/** Some day, so that dates look like dates. */
const EPOCH = Date.UTC(2026, 0, 1);

/**
 * Virtual time, ms. Nothing happens but by an event; each runs alone, until every promise that it settled has been heard,
 * so that the same events give the same run.
 */
export class VirtualTime {
  now = 0;
  /** What the wall clock is off by, ms. */
  wallShift = 0;
  readonly #events: Event[] = [];
  #order = 0;
  /** Events that have run. */
  events = 0;
  get wall(): number {
    return EPOCH + this.now + this.wallShift;
  }

  /** Calls back after `ms`, rounded up as timers do; the returned function cancels. `owner` is who it belongs to. */
  after(ms: number, act: () => void, owner: object = this): () => void {
    const event: Event = {
      at: this.now + Math.max(0, Math.ceil(ms)),
      order: (this.#order += 1),
      owner,
      act,
    };
    this.#push(event);
    return () => {
      event.act = undefined;
    };
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** A clock whose timers belong to `owner`. */
  clockOf(owner: object): Clock {
    return {
      now: () => this.now,
      wall: () => this.wall,
      after: (ms, act) => this.after(ms, act, owner),
    };
  }

  /** Timers of `owner` that have not fired. */
  pending(owner: object): number {
    return this.#events.filter((event) => event.owner === owner && event.act !== undefined).length;
  }

  /** None of the owner's timers fires any more. */
  silence(owner: object): void {
    for (const event of this.#events) if (event.owner === owner) event.act = undefined;
  }

  /** Lets `ms` pass, or less if `until` holds before; true if it does. */
  async pass(ms: number, until: () => boolean = () => false): Promise<boolean> {
    const end = this.now + ms;
    await turn();
    while (!until()) {
      if (!this.#isDue(end)) {
        // What waits for turns of the event loop, without any event, has a few.
        for (let count = 0; count < TURNS && !this.#isDue(end); count += 1) await turn();
        if (this.#isDue(end) || until()) continue;
        this.now = end;
        return until();
      }
      const next = this.#events[0] as Event;
      this.#pop();
      if (next.act === undefined) continue;
      this.now = Math.max(this.now, next.at);
      if ((this.events += 1) > MAX_EVENTS) throw new Error(`No end after ${MAX_EVENTS} events, at ${this.now} ms`);
      next.act();
      await turn();
    }
    return true;
  }

  /** True if something is to happen until `end`. */
  #isDue(end: number): boolean {
    return (this.#events[0]?.at ?? Number.POSITIVE_INFINITY) <= end;
  }

  #push(event: Event): void {
    const heap = this.#events;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent] as Event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#events;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child += 1;
      if (!isBefore(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** One turn of the event loop: when it is over, no promise has anything left to tell. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
