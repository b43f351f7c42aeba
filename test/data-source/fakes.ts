import { setMaxListeners } from "node:events";
import { Agent } from "undici";
import { type Clock, systemClock } from "../../src/data-source/clock.ts";
import type { DataSource, DataSpec, Opened, ResolvedSpec } from "../../src/data-source/data-source.ts";
import { http } from "../../src/data-source/http.ts";
import { Need } from "../../src/data-source/need.ts";
import { emptyOpened } from "../../src/data-source/opened.ts";
import type { Resolution } from "../../src/data-source/resolution.ts";

/** A clock that a test moves; the wall clock can be moved apart from the monotonic one. */
export class ManualClock implements Clock {
  #now = 1000;
  #wall = 1_800_000_000_000;
  #timers: { readonly at: number; readonly callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#wall;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Milliseconds from now at which timers are due. */
  get pending(): number[] {
    return this.#timers.map(({ at }) => at - this.#now).toSorted((a, b) => a - b);
  }

  /** Lets `ms` pass, timer by timer, with what each sets off. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#move(next.at - this.#now);
      this.#timers = this.#timers.filter((other) => other !== next);
      next.callback();
      await settle();
    }
    this.#move(end - this.#now);
    await settle();
  }

  /** Lets `ms` pass in which this process does nothing at all: timers that are due come late. */
  holdUp(ms: number): void {
    this.#move(ms);
    const due = this.#timers.filter(({ at }) => at <= this.#now);
    this.#timers = this.#timers.filter((timer) => !due.includes(timer));
    for (const { callback } of due) callback();
  }

  /** Moves the wall clock alone: somebody set it, or the machine slept. */
  jump(ms: number): void {
    this.#wall += ms;
  }

  #move(ms: number): void {
    this.#now += ms;
    this.#wall += ms;
  }
}

/** Waits shrink to a thousandth, so that retries take no time. */
export const hastyClock: Clock = { ...systemClock, after: (ms, callback) => systemClock.after(ms / 1000, callback) };

/** Time that passes so many times as fast, for the proxy: its own limits, which would come first, are out of the way. */
export function fast(speed: number): { clock: Clock; firstByteMs: number; patienceMs: number } {
  const clock: Clock = {
    now: () => performance.now() * speed,
    wall: () => Date.now(),
    after: (ms, callback) => systemClock.after(ms / speed, callback),
  };
  return { clock, firstByteMs: 10_000 * speed, patienceMs: 10_000 * speed };
}

/** Lets promises run until they wait for something else. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

export function specOf(wanted: Partial<DataSpec> = {}): DataSpec {
  return { source: "s", id: "song", position: 0, need: new Need(), ...wanted };
}

export function resolvedSpec(wanted: Partial<ResolvedSpec> = {}): ResolvedSpec {
  return { ...specOf(wanted), resolution: { url: "http://media.example.com/a" }, ...wanted };
}

export const never = new AbortController().signal;
setMaxListeners(0, never);

/** An answer of these chunks, after which `failure` is thrown, if there is one. */
export function answer(
  chunks: readonly Uint8Array[],
  about: Partial<Opened> = {},
  failure?: Error,
): Opened & { disposals: number } {
  let ended = false;
  const opened = {
    ...emptyOpened(0),
    ...about,
    disposals: 0,
    endsCleanly: () => ended,
    body: (async function* () {
      yield* chunks;
      if (failure !== undefined) throw failure;
      ended = true;
    })(),
    async [Symbol.asyncDispose]() {
      opened.disposals += 1;
    },
  };
  return opened;
}

/** A source that answers as `handle` says, and remembers what it was asked. */
export function fakeSource<Spec extends DataSpec>(
  handle: (spec: Spec, count: number, signal: AbortSignal) => Opened | Promise<Opened>,
): DataSource<Spec> & { readonly asked: Spec[] } {
  const asked: Spec[] = [];
  return {
    asked,
    async open(spec, { signal }) {
      asked.push(spec);
      return await handle(spec, asked.length, signal);
    },
  };
}

/** A resource in memory that honours ranges; named by `variant`, where one is given. */
export function memoryUpstream(bytes: Uint8Array, about: Partial<Opened> = { variant: "v" }) {
  return fakeSource<ResolvedSpec>(({ position, end = bytes.length, resolution }) =>
    answer(position >= bytes.length ? [] : [bytes.subarray(position, end)], {
      start: position,
      size: bytes.length,
      resolution,
      ...about,
    }),
  );
}

export async function readAll(opened: Opened): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of opened.body) chunks.push(chunk.slice());
  return Buffer.concat(chunks);
}

/** The http layer over connections of its own. */
export function realHttp(clock: Clock = systemClock): { source: DataSource<ResolvedSpec>; close: () => Promise<void> } {
  const agent = new Agent();
  return { source: http({ dispatcher: agent, clock }), close: () => agent.destroy() };
}

/** Gives a source the resolution that its specs lack. */
export function resolved(source: DataSource<ResolvedSpec>, resolution: () => Resolution): DataSource {
  return { open: (spec, options) => source.open({ ...spec, resolution: resolution() }, options) };
}
