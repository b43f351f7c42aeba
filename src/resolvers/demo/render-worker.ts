import { type MessagePort, parentPort } from "node:worker_threads";
import { RenderQueue } from "./render-queue.ts";

/** What the main thread asks: a block, or that one is not wanted any more, or to be ready for the first. */
export type RenderRequest =
  | "warm"
  | { readonly job: number; readonly piece: string; readonly index: number }
  | { readonly cancel: number };

/** Without `bytes`, `error` says why there are none. */
export interface RenderReply {
  readonly job: number;
  readonly bytes?: Uint8Array;
  readonly error?: string;
}

function serve(port: MessagePort): void {
  const queue = new RenderQueue();
  const running = new Map<number, AbortController>();
  const post = (reply: RenderReply, transfer: ArrayBuffer[] = []): void => port.postMessage(reply, transfer);
  port.on("message", (request: RenderRequest) => {
    if (request === "warm") {
      void queue.warm();
      return;
    }
    if ("cancel" in request) {
      running.get(request.cancel)?.abort();
      return;
    }
    const { job, piece, index } = request;
    const abort = new AbortController();
    running.set(job, abort);
    queue
      .block(piece, index, abort.signal)
      .then(
        (bytes) => post({ job, bytes }, [bytes.buffer as ArrayBuffer]),
        (error: unknown) => post({ job, error: String(error) }),
      )
      .finally(() => running.delete(job));
  });
}

if (parentPort) serve(parentPort);
