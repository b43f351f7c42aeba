import { Worker } from "node:worker_threads";
import { abortReason, AfterbayError } from "../../errors.ts";
import { RenderQueue } from "./render-queue.ts";
import type { RenderReply, RenderRequest } from "./render-worker.ts";
import { Recent } from "./synth/recent.ts";

/** Where finished blocks come from. Blocks are shared: nobody writes into them. */
export interface Blocks {
  /** Block `index` of a piece as PCM. Rejects with the signal's reason once it aborts. */
  block(piece: string, index: number, signal: AbortSignal): Promise<Uint8Array>;
  /** Makes the first block soon; harmless at any time. */
  warm(): void;
  close(): Promise<void>;
}

/** 16 KiB each: 4 MiB. */
const KEPT_BLOCKS = 256;

/** Blocks from a worker thread, or from this one where the sources run as TypeScript, which a worker cannot load. */
export function createBlocks(): Blocks {
  const compiled = import.meta.url.endsWith(".js");
  return remembering(compiled ? new WorkerBlocks(new URL("./render-worker.js", import.meta.url)) : new LocalBlocks());
}

function remembering(blocks: Blocks): Blocks {
  const recent = new Recent<Uint8Array>(KEPT_BLOCKS);
  return {
    async block(piece, index, signal) {
      const key = `${piece}/${index}`;
      const known = recent.get(key);
      if (known) return known;
      const bytes = await blocks.block(piece, index, signal);
      recent.set(key, bytes);
      return bytes;
    },
    warm: () => blocks.warm(),
    close: () => blocks.close(),
  };
}

class LocalBlocks implements Blocks {
  readonly #queue = new RenderQueue();
  readonly #closed = new AbortController();

  block(piece: string, index: number, signal: AbortSignal): Promise<Uint8Array> {
    return this.#queue.block(piece, index, AbortSignal.any([signal, this.#closed.signal]));
  }

  /** This thread has other things to do than to render what nobody asked for. */
  warm(): void {}

  async close(): Promise<void> {
    this.#closed.abort();
  }
}

interface Job {
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (reason: Error) => void;
}

/** One worker, started when it is first needed and again should it die. */
class WorkerBlocks implements Blocks {
  readonly #file: URL;
  readonly #jobs = new Map<number, Job>();
  #worker: Worker | undefined;
  #count = 0;
  #closed = false;

  constructor(file: URL) {
    this.#file = file;
  }

  async block(piece: string, index: number, signal: AbortSignal): Promise<Uint8Array> {
    if (signal.aborted) throw abortReason(signal);
    if (this.#closed) throw new AfterbayError("transient", "The demo source is closed");
    const worker = this.#start();
    const job = this.#count++;
    const { promise, resolve, reject } = withResolvers();
    const cancel = (): void => {
      post(worker, { cancel: job });
      reject(abortReason(signal));
    };
    signal.addEventListener("abort", cancel, { once: true });
    this.#jobs.set(job, { resolve, reject });
    post(worker, { job, piece, index });
    try {
      return await promise;
    } finally {
      this.#jobs.delete(job);
      signal.removeEventListener("abort", cancel);
    }
  }

  warm(): void {
    if (!this.#worker) post(this.#start(), "warm");
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
  }

  #start(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(this.#file);
    worker.unref();
    worker.on("message", ({ job, bytes, error }: RenderReply) => {
      if (bytes) this.#jobs.get(job)?.resolve(bytes);
      else this.#jobs.get(job)?.reject(new AfterbayError("transient", `Rendering failed: ${error}`));
    });
    const ended = (cause?: Error): void => {
      if (this.#worker === worker) this.#worker = undefined;
      for (const { reject } of this.#jobs.values())
        reject(new AfterbayError("transient", "The renderer ended", { cause }));
    };
    worker.on("error", ended);
    worker.on("exit", () => ended());
    this.#worker = worker;
    return worker;
  }
}

function post(worker: Worker, request: RenderRequest): void {
  worker.postMessage(request);
}

function withResolvers(): { promise: Promise<Uint8Array> } & Job {
  let resolve: Job["resolve"] = () => undefined;
  let reject: Job["reject"] = () => undefined;
  const promise = new Promise<Uint8Array>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
