import type { Dispatcher } from "undici";
import { AfterbayError, abortReason } from "../errors.ts";
import { deferred } from "./aborting.ts";
import { MiB } from "./data-source.ts";

/** Bytes held for a slow reader where the upstream cannot be made to wait. */
const MAX_HELD = 4 * MiB;

/**
 * One request and its response. undici's own streams drop what was received but not yet read when a connection breaks,
 * and with it the prefix that a resume would go on from; here every byte that came is read before the error is thrown.
 */
export class HttpExchange implements Dispatcher.DispatchHandler {
  statusCode = 0;
  /** Names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>> = {};

  readonly #signal: AbortSignal;
  readonly #head = deferred();
  #controller: Dispatcher.DispatchController | undefined;
  #chunks: Uint8Array[] = [];
  #held = 0;
  /** False where the connection may end with the response: undici 7 throws, uncaught, if it does so while paused. */
  #pausable = false;
  #over = false;
  #error: Error | undefined;
  #moved = deferred();

  /** Settles when the headers are there. Rejects with what went wrong, or the signal's reason. */
  static async send(
    dispatcher: Dispatcher,
    options: Dispatcher.DispatchOptions,
    signal: AbortSignal,
  ): Promise<HttpExchange> {
    if (signal.aborted) throw abortReason(signal);
    const exchange = new HttpExchange(signal);
    dispatcher.dispatch(options, exchange);
    await exchange.#head.promise;
    return exchange;
  }

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // It may have been aborted while it waited for a connection.
    if (this.#over) controller.abort(this.#error ?? new Error("Not wanted any more"));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    if (statusCode < 200) return;
    this.statusCode = statusCode;
    this.headers = headers;
    const connection = String(headers["connection"] ?? "").toLowerCase();
    this.#pausable = connection === "keep-alive" || (connection === "" && headers["transfer-encoding"] !== undefined);
    this.#head.resolve();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    // A resumed parser tells of no bytes at first: pausing at those would never come to others.
    if (this.#over || chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    if (this.#pausable) controller.pause();
    else if (this.#held > MAX_HELD) {
      const error = new AfterbayError("transient", "The upstream sends faster than it is read, and cannot wait");
      this.#end(error);
      controller.abort(error);
    }
    this.#wake();
  }

  onResponseEnd(): void {
    this.#end(undefined);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#end(error);
  }

  /** The next bytes of the body; undefined at its end. Throws what broke it off, after all that came before that. */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#signal.aborted) throw abortReason(this.#signal);
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#held -= chunk.length;
        return chunk;
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#over) return undefined;
      const moved = this.#moved.promise;
      this.#controller?.resume();
      await moved;
    }
  }

  /** The whole body was read. Lets the connection take the next request, if nothing but the end is left of this one. */
  finish(): void {
    if (!this.#over && this.#chunks.length === 0) this.#controller?.resume();
    this.destroy();
  }

  /** Frees the connection. A read that is pending, or comes after it, fails; one that has ended stays as it is. */
  destroy(): void {
    this.#abort(new DOMException("The body was disposed of", "AbortError"));
  }

  readonly #onAbort = (): void => this.#abort(abortReason(this.#signal));

  #abort(reason: Error): void {
    if (this.#over) return;
    this.#chunks = [];
    this.#end(reason);
    this.#controller?.abort(reason);
  }

  #end(error: Error | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    this.#signal.removeEventListener("abort", this.#onAbort);
    if (error === undefined) this.#head.resolve();
    else this.#head.reject(error);
    this.#wake();
  }

  #wake(): void {
    const moved = this.#moved;
    this.#moved = deferred();
    moved.resolve();
  }
}
