import { Worker } from "node:worker_threads";
import { abortReason } from "../../errors.ts";
import type { Library } from "./library.ts";
import { type ReadScript, readScript } from "./read-script.ts";
import type { Fetched, WorkerMessage } from "./read-script-worker.ts";

/** Reading takes three seconds of one core; on a machine with much else to do, many more. */
const LIMIT_MS = 60_000;
const LIMITS = { maxOldGenerationSizeMb: 768, maxYoungGenerationSizeMb: 32 };

/**
 * {@link readScript} in a worker thread, so that nobody's music waits for it, and with its memory given back; in this
 * thread where the sources run as TypeScript, which a worker cannot load. Requests go out from this thread. Rejects with
 * what `fetch` throws, an Error where the script cannot be read, or the signal's reason.
 */
export async function readApart(
  library: Library,
  fetch: typeof globalThis.fetch,
  signal: AbortSignal,
): Promise<ReadScript> {
  if (signal.aborted) throw abortReason(signal);
  if (!import.meta.url.endsWith(".js")) return await readScript(library, fetch);
  const limit = AbortSignal.timeout(LIMIT_MS);
  const worker = new Worker(new URL("./read-script-worker.js", import.meta.url), { resourceLimits: LIMITS, env: {} });
  const end = (): void => void worker.terminate();
  signal.addEventListener("abort", end, { once: true });
  limit.addEventListener("abort", end, { once: true });
  try {
    return await answerOf(worker, fetch);
  } catch (error) {
    if (signal.aborted) throw abortReason(signal);
    throw error;
  } finally {
    signal.removeEventListener("abort", end);
    end();
  }
}

function answerOf(worker: Worker, fetch: typeof globalThis.fetch): Promise<ReadScript> {
  return new Promise((resolve, reject) => {
    worker.on("message", (message: WorkerMessage) => {
      if ("script" in message) resolve(message.script);
      else if ("failed" in message) reject(new Error("The script cannot be read"));
      else answer(worker, message, fetch).catch(reject);
    });
    worker.on("error", reject);
    worker.on("exit", () => reject(new Error("The reader ended")));
  });
}

async function answer(
  worker: Worker,
  { fetch: number, url, headers }: Extract<WorkerMessage, { fetch: number }>,
  fetch: typeof globalThis.fetch,
): Promise<void> {
  const response = await fetch(url, { headers: headers.map(([name, value]): [string, string] => [name, value]) });
  const fetched: Fetched = { fetch: number, text: await response.text() };
  worker.postMessage(fetched);
}
