import { join } from "node:path";
import type { ChunkStore } from "../../src/cache/chunk-store.ts";
import { FileChunkStore } from "../../src/cache/file-store.ts";
import { TrackCache } from "../../src/cache/track-cache.ts";
import { TrackIndex } from "../../src/cache/track-index.ts";
import type { Clock } from "../../src/data-source/clock.ts";
import type { DataSource } from "../../src/data-source/data-source.ts";
import { bySource, sourcePipeline } from "../../src/data-source/default-pipeline.ts";
import type { Resolver } from "../../src/data-source/resolution.ts";
import { Scheduler } from "../../src/data-source/scheduler.ts";
import { FlightRecorder } from "../../src/sessions/flight-recorder.ts";
import { streamHandler } from "../../src/http/stream.ts";
import { Offline } from "../../src/prefetch/offline.ts";
import { validateResolution } from "../../src/resolvers/validate-resolution.ts";
import type { Client } from "./client.ts";
import type { ModelDispatcher } from "./dispatcher.ts";
import type { Scenario } from "./scenario.ts";

/** Defects to be built in, so that the model can be seen to find them. */
export interface Sabotage {
  readonly source?: (source: DataSource) => DataSource;
  readonly store?: (store: ChunkStore) => ChunkStore;
  readonly scheduler?: (scheduler: Scheduler) => Scheduler;
  readonly handle?: (handle: Handler) => Handler;
}

type Handler = ReturnType<typeof streamHandler>;

export interface InstanceOptions {
  /** The folder of its files. */
  readonly root: string;
  /** In the place of the file store. */
  readonly store: ChunkStore | undefined;
  readonly scenario: Scenario;
  readonly budget: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly dispatcher: ModelDispatcher;
  readonly resolvers: ReadonlyMap<string, Resolver>;
  /** Told of what is nobody's answer: a defect. */
  readonly onDefect: (error: unknown) => void;
  readonly sabotage: Sabotage;
}

/** One life of a server, put together as `createProxy` does, without sockets. */
export class Instance {
  readonly cache: TrackCache;
  readonly offline: Offline;
  readonly scheduler: Scheduler;
  readonly recorder: FlightRecorder;
  readonly dispatcher: ModelDispatcher;
  readonly #handle: Handler;

  static async start(options: InstanceOptions): Promise<Instance> {
    const instance = new Instance(options);
    await instance.cache.load();
    await instance.offline.start(instance.cache);
    return instance;
  }

  private constructor(options: InstanceOptions) {
    const { root, scenario, clock, random, dispatcher, resolvers, onDefect, sabotage } = options;
    const { dataSaver, maxWindow } = scenario;
    const same = <T>(it: T): T => it;
    this.dispatcher = dispatcher;
    this.scheduler = (sabotage.scheduler ?? same)(new Scheduler(clock));
    const shared = { dispatcher, scheduler: this.scheduler, clock, random, validate: validateResolution, maxWindow };
    const upstream = bySource(
      new Map([...resolvers].map(([key, resolver]) => [key, sourcePipeline(resolver, shared)])),
    );
    this.offline = new Offline({ root, clock, healBudget: 256 * 1024 * 1024 });
    this.cache = new TrackCache({
      store: (sabotage.store ?? same)(options.store ?? new FileChunkStore(root, clock)),
      index: new TrackIndex(join(root, "index.log"), (error) => this.cache.onStorageError(error), clock),
      upstream: (sabotage.source ?? same)(upstream),
      clock,
      log: { info() {}, warn() {} },
      budget: options.budget,
      isPinned: (key) => this.offline.isPinned(key),
      isWished: (key) => this.offline.isWished(key),
      onChanged: (key, change) => this.offline.onTrackChanged(key, change),
      dataSaver,
    });
    this.recorder = new FlightRecorder({ clock });
    this.#handle = (sabotage.handle ?? same)(
      streamHandler({
        enter: (want) => this.cache.enter(want),
        hintOf: (want) => this.cache.hintOf(want),
        clock,
        firstByteMs: 4000,
        patienceMs: 20_000,
        recorder: this.recorder,
        onError: onDefect,
      }),
    );
  }

  /** Answers a request; never rejects. */
  serve(client: Client): Promise<void> {
    const { plan, original } = client;
    return this.#handle(client.request.asIncoming, client.response.asServer, {
      source: original.plan.source,
      id: idOf(plan.track),
      offline: plan.offline,
      ...(plan.low ? { quality: "low" } : {}),
    });
  }

  async close(): Promise<void> {
    this.offline.close();
    await this.cache.close();
  }
}

export function idOf(track: number): string {
  return `t${track}`;
}
