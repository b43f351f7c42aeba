import { type MessagePort, parentPort } from "node:worker_threads";
import { loadReader } from "./library.ts";
import { type ReadScript, readScript } from "./read-script.ts";

/** What the worker says: fetch this for me; here is the script; or it cannot be read. */
export type WorkerMessage =
  | { readonly fetch: number; readonly url: string; readonly headers: readonly (readonly [string, string])[] }
  | { readonly script: ReadScript }
  | { readonly failed: true };

/** The text of what was to be fetched. */
export interface Fetched {
  readonly fetch: number;
  readonly text: string;
}

async function serve(port: MessagePort): Promise<void> {
  const waiting = new Map<number, (text: string) => void>();
  const post = (message: WorkerMessage): void => port.postMessage(message);
  port.on("message", ({ fetch, text }: Fetched) => waiting.get(fetch)?.(text));
  let count = 0;
  const relayed: typeof globalThis.fetch = (input, init) =>
    new Promise((resolve) => {
      count += 1;
      waiting.set(count, (text) => resolve(new Response(text)));
      const url = input instanceof Request ? input.url : String(input);
      post({ fetch: count, url, headers: [...new Headers(init?.headers)] });
    });
  try {
    post({ script: await readScript(await loadReader(), relayed) });
  } catch {
    post({ failed: true });
  }
  port.close();
}

if (parentPort) void serve(parentPort);
