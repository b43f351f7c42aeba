import { MemoryChunkStore } from "../../src/cache/memory-store.ts";
import type { TrackKey } from "../../src/data-source/data-source.ts";
import { isAfterbayError } from "../../src/errors.ts";
import { judge } from "./answers.ts";
import { Client } from "./client.ts";
import { ModelDispatcher } from "./dispatcher.ts";
import { idOf, Instance, type Sabotage } from "./instance.ts";
import { drawAnew } from "./repeatable.ts";
import { type DiskOperation, failure, DiskSession, MemoryDisk, type MemoryFile } from "./memory-disk.ts";
import { Original, Plan, PlannedResolver } from "./origin.ts";
import type { Fault, RangePlan, ReadPlan, ResolveFault, Scenario, Step } from "./scenario.ts";
import { VirtualTime } from "./time.ts";

/** Longest that anything may take when nobody dawdles, ms. */
const PATIENCE_MS = 30 * 60_000;
/** A server that is told to stop does so within this time, ms. */
const CLOSING_MS = 2000;

/** Disk operations that one event may lead to. */
const MAX_OPERATIONS = 20_000;

/** A server, its upstreams, its disk and its clients, on virtual time. */
export class World {
  readonly scenario: Scenario;
  readonly time: VirtualTime;
  readonly disk = new MemoryDisk();
  readonly originals: readonly Original[];
  readonly clients: Client[] = [];
  /** What must not be, found so far. */
  readonly failures: string[] = [];
  /** Something was done by which bytes may have to be fetched more than once. */
  lossy = false;
  /** What is on the disk may not be what the index says. */
  rotten = false;
  /** The disk refused something: what it would not delete is kept, and used for nothing. */
  refused = false;
  /** The disk refused to read. */
  readsFailed = false;
  /** A process ended without having written all that it knew. */
  crashed = false;
  budget: number;
  place: DiskSession;
  instance: Instance | undefined;
  readonly memory: MemoryChunkStore | undefined;
  readonly #sabotage: Sabotage;
  readonly #faults: readonly Plan<Fault>[];
  readonly #resolves: readonly Plan<ResolveFault>[];
  readonly #random: () => number;
  readonly #etags = new Map<Original, string>();
  /** What was asked of the server itself, and is not done. */
  readonly #asked = new Set<string>();
  /** Owns the timers of the server. */
  #life = {};
  #resolver: PlannedResolver | undefined;
  /** The event during which the disk was asked last, and how often. */
  #askedAt = 0;
  #askedCount = 0;
  #outage: { readonly until: number; readonly code: string } | undefined;
  #refusal: { readonly until: number; readonly code: string; readonly reads: boolean } | undefined;

  constructor(scenario: Scenario, sabotage: Sabotage = {}) {
    this.scenario = scenario;
    this.#sabotage = sabotage;
    this.budget = scenario.budget;
    this.lossy = scenario.budget < 64 * 1024 * 1024;
    drawAnew();
    this.#random = generator(scenario.seed);
    this.time = new VirtualTime();
    this.originals = scenario.tracks.flatMap((plan, track) =>
      ["any", "low"].map((quality, at) => {
        const smaller = quality === "low" ? { ...plan, size: Math.ceil(plan.size / 3) } : plan;
        return new Original(track * 2 + at, idOf(track), quality, smaller, this.time);
      }),
    );
    this.#faults = scenario.tracks.map(({ faults }) => new Plan(faults));
    this.#resolves = scenario.tracks.map(({ resolves }) => new Plan(resolves));
    if (scenario.store === "memory") this.memory = new MemoryChunkStore();
    this.disk.options = {
      maxWrite: scenario.disk.maxWrite,
      before: (operation) => {
        if (this.#goesRound()) return new Promise(() => {});
        const refusal = this.#refusal;
        if (refusal !== undefined && this.time.now < refusal.until && refuses(refusal, operation)) {
          throw failure(refusal.code);
        }
        return scenario.disk.latency > 0 ? this.time.wait(scenario.disk.latency) : undefined;
      },
    };
    this.place = new DiskSession(this.disk);
  }

  get server(): Instance {
    if (this.instance === undefined) throw new Error("The server is down");
    return this.instance;
  }

  original(track: number, low = false): Original {
    return this.originals[(track % this.scenario.tracks.length) * 2 + (low ? 1 : 0)] as Original;
  }

  key(track: number): TrackKey {
    const at = track % this.scenario.tracks.length;
    return { source: this.scenario.tracks[at]?.source ?? "a", id: idOf(at) };
  }

  fail(what: string): void {
    this.failures.push(`${what} (at ${Math.round(this.time.now)} ms)`);
  }

  async start(): Promise<void> {
    const { time } = this;
    // What cannot be read at the start is no cache.
    if (this.#refusal?.reads === true) this.#refusal = undefined;
    const life = {};
    this.#life = life;
    const dispatcher = new ModelDispatcher({
      time,
      find: (path) => {
        const name = path.split("/")[1] ?? "";
        const at = this.originals.findIndex((original) => original.name === name);
        return { original: this.originals[at] as Original, faults: this.#faults[at >> 1] as Plan<Fault> };
      },
      outage: () => (this.#outage !== undefined && time.now < this.#outage.until ? this.#outage.code : undefined),
      onTooMany: (what) => this.fail(what),
    });
    const resolver = new PlannedResolver(
      (id, quality) => {
        const track = Number(id.slice(1));
        return { original: this.original(track, quality === "low"), plan: this.#resolves[track] as Plan<ResolveFault> };
      },
      time,
      dispatcher,
      (what) => this.fail(what),
    );
    this.#resolver = resolver;
    const starting = Instance.start({
      root: this.place.root,
      store: this.memory,
      scenario: this.scenario,
      budget: this.budget,
      clock: time.clockOf(this.#life),
      random: this.#random,
      dispatcher,
      resolvers: new Map(this.scenario.tracks.map(({ source }) => [source, resolver])),
      onDefect: (error) => {
        if (this.#life === life) this.fail(`a defect: ${describe(error)}`);
      },
      sabotage: this.#sabotage,
    });
    this.instance = await this.settled(starting, CLOSING_MS * 10, "start");
  }

  /** What `work` gives, if it is done within `ms`. */
  async settled<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
    let result: { value: T } | { error: unknown } | undefined;
    work.then(
      (value) => (result = { value }),
      (error: unknown) => (result = { error }),
    );
    await this.time.pass(ms, () => result !== undefined);
    if (result === undefined) throw new Error(`not done within ${ms} ms: ${what}`);
    if ("error" in result) throw result.error;
    return result.value;
  }

  async act(step: Step): Promise<void> {
    const { server, time } = this;
    switch (step.kind) {
      case "read":
        await this.read(step);
        return;
      case "pass":
        await time.pass(step.ms);
        return;
      case "jump":
        time.wallShift += step.ms;
        return;
      case "change":
        this.original(step.track, step.low).change(step.grow);
        this.lossy = true;
        return;
      case "wish": {
        const keys = step.tracks.map((track) => this.key(track));
        server.offline.prefetcher.setList(`list${step.list}`, keys, step.full ? "full" : "head");
        return;
      }
      case "pin":
        this.#ask("pin", server.offline.pin(this.key(step.track), new AbortController().signal));
        return;
      case "unpin":
        this.#ask("unpin", server.offline.unpin(this.key(step.track)));
        return;
      case "budget":
        this.lossy = true;
        this.budget = step.bytes;
        server.cache.budget = step.bytes;
        return;
      case "evict":
        this.lossy = true;
        this.#ask("evict", server.cache.evictTo(step.to, { dryRun: false }));
        return;
      case "delete":
        this.lossy = true;
        this.#ask("delete", server.cache.delete(this.key(step.track)));
        return;
      case "verify":
        this.#ask("verify", server.cache.verify(this.key(step.track)));
        return;
      case "expire":
        this.original(step.track).expire();
        this.original(step.track, true).expire();
        return;
      case "outage":
        this.#outage = { until: time.now + step.ms, code: step.code };
        return;
      case "disk":
        this.lossy = true;
        this.refused = true;
        // Where the disk is at fault, no file can be opened to be read either.
        this.readsFailed ||= step.reads || step.code === "EIO";
        this.#refusal = { until: time.now + step.ms, code: step.code, reads: step.reads };
        return;
      case "rot":
        this.lossy = true;
        this.rotten = true;
        this.#rot(step);
        return;
      case "restart":
        await this.stop();
        await this.start();
        return;
      case "kill":
        // What is in memory does not outlive a process.
        if (this.scenario.store === "memory") return this.act({ kind: "restart" });
        this.kill();
        await this.start();
        return;
      case "power-loss":
        if (this.scenario.store !== "files") return this.act({ kind: "kill" });
        this.kill();
        this.rotten = true;
        this.#forget(step);
        await this.start();
        return;
    }
  }

  /** A request; settled when it has ended, if its plan says so, else at once. */
  async read(plan: ReadPlan): Promise<Client> {
    const original = this.original(plan.track, plan.low);
    const headers: Record<string, string> = {};
    if (plan.range !== undefined) headers["range"] = rangeHeader(plan.range, original.size);
    const last = this.#etags.get(original);
    if (plan.ifRange === "last" && last !== undefined) headers["if-range"] = last;
    if (plan.ifRange === "other") headers["if-range"] = '"another"';
    const client = new Client(
      { ...plan, track: plan.track % this.scenario.tracks.length },
      original,
      headers,
      this.time,
      (ended) => {
        for (const what of judge(ended)) this.fail(what);
        const { etag } = ended.answered;
        if (etag !== undefined) this.#etags.set(original, etag);
      },
    );
    this.clients.push(client);
    const life = this.#life;
    this.server.serve(client).catch((error: unknown) => {
      if (this.#life === life) this.fail(`a handler threw ${describe(error)}`);
    });
    if (plan.wait) await this.time.pass(PATIENCE_MS, () => client.end !== undefined || this.failures.length > 0);
    return client;
  }

  /** Waits for all that is under way. */
  async quiet(): Promise<void> {
    const isQuiet = (): boolean => this.clients.every(({ end }) => end !== undefined) && this.#asked.size === 0;
    if (await this.time.pass(PATIENCE_MS, () => isQuiet() || this.failures.length > 0)) return;
    for (const client of this.clients) {
      if (client.end === undefined) this.fail(`a request hangs since ${client.startedAt} ms: ${nameOf(client)}`);
    }
    for (const what of this.#asked) this.fail(`not done: ${what}`);
  }

  /** Nothing goes wrong from now on. */
  endFaults(): void {
    this.#outage = undefined;
    this.#refusal = undefined;
    for (const plan of [...this.#faults, ...this.#resolves]) plan.clear();
    for (const original of this.originals) original.isGenerous = true;
  }

  /** Ends the server in order, and looks at what it leaves behind. */
  async stop(): Promise<void> {
    const { server, place } = this;
    if (!this.scenario.mounted) {
      for (const client of this.clients) client.cut();
      await this.time.pass(0);
    }
    await this.settled(server.close(), CLOSING_MS + 100 * this.scenario.disk.latency, "close");
    const { changes } = this.disk;
    await this.time.pass(1000);
    if (this.disk.changes > changes) this.fail("the disk is written to after the end");
    for (const client of this.clients) {
      if (client.end === undefined && client.plan.speed === 0) this.fail(`outlives the server: ${nameOf(client)}`);
      client.cut();
    }
    await this.time.pass(0);
    const timers = this.time.pending(this.#life);
    // What a resolver is asked, it is asked to the end.
    if (timers > (this.#resolver?.active ?? 0)) this.fail(`${timers} timers outlive the server`);
    if (server.dispatcher.open > 0) this.fail(`${server.dispatcher.open} upstream requests outlive the server`);
    const { active, waiting } = server.scheduler.counts;
    if (active + waiting > 0) this.fail(`the scheduler still has ${active} active and ${waiting} waiting`);
    if (server.recorder.open.size > 0) this.fail(`${server.recorder.open.size} requests are still on record`);
    if (place.handles > 0) this.fail(`${place.handles} file handles outlive the server`);
    this.#bury();
  }

  kill(): void {
    this.crashed = true;
    this.lossy = true;
    for (const client of this.clients) client.kill();
    this.server.dispatcher.kill();
    this.#bury();
  }

  /** True if the disk is asked for more than any need while no time passes: whoever asks goes on for ever. */
  #goesRound(): boolean {
    if (this.time.events !== this.#askedAt) {
      this.#askedAt = this.time.events;
      this.#askedCount = 0;
    }
    this.#askedCount += 1;
    if (this.#askedCount < MAX_OPERATIONS) return false;
    if (this.#askedCount === MAX_OPERATIONS) this.fail("the disk is asked again and again, and no time passes");
    return true;
  }

  #bury(): void {
    this.time.silence(this.#life);
    this.time.silence(this.server.dispatcher);
    this.place.kill();
    this.#asked.clear();
    this.instance = undefined;
    this.#life = {};
    this.place = new DiskSession(this.disk);
  }

  #ask(what: string, work: Promise<unknown>): void {
    const name = `${what} since ${this.time.now} ms`;
    this.#asked.add(name);
    const { instance } = this;
    work
      .catch((error: unknown) => {
        const aborted = error instanceof Error && error.name === "AbortError";
        const disk = error instanceof Error && "code" in error && error.code === this.#refusal?.code;
        if (!isAfterbayError(error) && !aborted && !disk && instance === this.instance) {
          this.fail(`${what} threw ${describe(error)}`);
        }
      })
      .finally(() => this.#asked.delete(name));
  }

  #rot({ what, at }: Extract<Step, { kind: "rot" }>): void {
    const ending = what.startsWith("map") ? ".map" : ".data";
    const paths = this.disk.below("/v1/tracks").filter((path) => path.endsWith(ending));
    const path = paths[at % Math.max(1, paths.length)];
    const file = path === undefined ? undefined : this.disk.files.get(path);
    // While it is open, its bytes are trusted.
    if (path === undefined || file === undefined || file.open > 0 || file.size === 0) return;
    const place = Math.floor(at / 7) % file.size;
    switch (what) {
      case "flip":
      case "map-flip":
        file.flip(place);
        return;
      case "cut":
      case "map-tear":
        file.truncate(place);
        return;
      case "lose":
      case "map-lose":
        this.disk.files.delete(path);
        return;
    }
  }

  /** What was never synced is lost, more or less of it. */
  #forget({ data, maps, index }: Extract<Step, { kind: "power-loss" }>): void {
    const prefix = (file: MemoryFile, share: number): void => {
      const kept = Math.round((file.writes.length * share) / 1000);
      file.rewind((write) => write < kept);
    };
    for (const [path, file] of this.disk.files) {
      if (path.endsWith(".map")) prefix(file, maps);
      else if (path.endsWith(".data")) file.rewind((write) => (Math.imul(write + 1, 0x9e3779b1) >>> 0) % 1000 < data);
      else prefix(file, index);
    }
  }
}

/** A full disk lets files be opened that are there. */
function refuses({ code, reads }: { code: string; reads: boolean }, operation: DiskOperation): boolean {
  return reads || (operation !== "read" && (operation !== "open" || code !== "ENOSPC"));
}

export function nameOf({ original, headers, plan }: Client): string {
  const range = headers["range"] ?? "";
  return `${plan.head ? "HEAD" : "GET"} ${original.name} ${range}`.trim();
}

export function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}\n${error.stack ?? ""}` : String(error);
}

function rangeHeader({ kind, start, length }: RangePlan, size: number): string {
  const from = start % (size + 3);
  switch (kind) {
    case "between":
      return `bytes=${from}-${from + length - 1}`;
    case "from":
      return `bytes=${from}-`;
    case "last":
      return `bytes=-${length}`;
    case "several":
      return `bytes=0-1,${from}-${from + length}`;
    case "nonsense":
    default:
      return `bytes=${from + 5}-${from}`;
  }
}

/** Mulberry32. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
