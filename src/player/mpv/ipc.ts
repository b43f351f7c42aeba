import { connect, type Socket } from "node:net";
import type { Clock } from "../../data-source/clock.ts";

/** What mpv tells of itself. `event` names it; the rest depends on that. */
export type MpvEvent = Readonly<Record<string, unknown>> & { readonly event: string };

/** A command: a name and arguments in order, or by their names (`{name: "loadfile", url: …}`). */
export type MpvCommand = readonly unknown[] | (Readonly<Record<string, unknown>> & { readonly name: string });

/** How a command went. `error` is mpv's own word for it, or `closed`, or `timeout`. */
export type MpvReply = { readonly ok: true; readonly data: unknown } | { readonly ok: false; readonly error: string };

/** A line longer than this is no answer of mpv's. */
const MAX_LINE = 8 * 1024 ** 2;

/**
 * mpv's JSON IPC (DOCS/man/ipc.rst): one JSON object a line each way, answers told apart by `request_id`. Replies and
 * events are handed on in the order in which they came, each before the next line is read: what a reply says of a file is
 * known before that file's first event.
 */
export class MpvIpc {
  readonly #socket: Socket;
  readonly #clock: Clock;
  #onEvent: (event: MpvEvent) => void = () => {};
  readonly #waiting = new Map<number, (reply: MpvReply) => void>();
  #lastId = 0;
  #rest = "";
  #closed = false;

  constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#read(text));
    // Whoever started the process hears of its end; a broken socket alone tells nothing more.
    socket.on("error", () => {});
    socket.on("close", () => this.#end());
  }

  /** Who hears of events from now on; those before are lost. */
  listen(onEvent: (event: MpvEvent) => void): void {
    this.#onEvent = onEvent;
  }

  /** Sends a command; `onReply` is called once, also when there will be no answer. */
  send(command: MpvCommand, onReply: (reply: MpvReply) => void = () => {}): void {
    if (this.#closed) {
      onReply({ ok: false, error: "closed" });
      return;
    }
    this.#lastId += 1;
    this.#waiting.set(this.#lastId, onReply);
    this.#socket.write(`${JSON.stringify({ command, request_id: this.#lastId })}\n`);
  }

  /** As {@link send}, for those who can wait, but not for longer than `limitMs`. */
  ask(command: MpvCommand, limitMs: number): Promise<MpvReply> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(limitMs, () => resolve({ ok: false, error: "timeout" }));
      this.send(command, (reply) => {
        cancel();
        resolve(reply);
      });
    });
  }

  close(): void {
    this.#socket.destroy();
    this.#end();
  }

  #end(): void {
    this.#closed = true;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const onReply of waiting) onReply({ ok: false, error: "closed" });
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > MAX_LINE) this.close();
    for (const line of lines) if (!this.#closed) this.#take(line);
  }

  #take(line: string): void {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      // mpv writes file names as they are, which may be no UTF-8: a line that cannot be read is not answered for.
      return;
    }
    if (typeof message !== "object" || message === null) return;
    if (isEvent(message)) {
      this.#onEvent(message);
      return;
    }
    const { request_id: id, error, data } = message as Record<string, unknown>;
    const onReply = typeof id === "number" ? this.#waiting.get(id) : undefined;
    if (onReply === undefined) return;
    this.#waiting.delete(id as number);
    onReply(error === "success" ? { ok: true, data } : { ok: false, error: String(error) });
  }
}

/** Connects to the socket or named pipe at `path`. */
export function connectTo(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
    socket.once("error", reject);
  });
}

function isEvent(message: object): message is MpvEvent {
  return "event" in message && typeof message.event === "string";
}
