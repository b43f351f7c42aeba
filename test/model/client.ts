import { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Original, Version } from "./origin.ts";
import type { ReadPlan } from "./scenario.ts";
import type { VirtualTime } from "./time.ts";

/** How a response ended. */
export type End = "complete" | "destroyed" | "left" | "killed";

/** A wrong byte, or a lie about them. */
export class Wrong extends Error {
  override readonly name = "Wrong";
}

/** One request of a player, and what it was answered: in the place of node:http and a socket. */
export class Client {
  readonly plan: ReadPlan;
  readonly original: Original;
  readonly headers: Readonly<Record<string, string>>;
  readonly startedAt: number;
  readonly request: FakeRequest;
  readonly response: FakeResponse;
  status = 0;
  answered: Readonly<Record<string, string>> = {};
  /** Ms since the start. */
  headersAt: number | undefined;
  firstByteAt: number | undefined;
  endedAt: number | undefined;
  end: End | undefined;
  /** Bytes of the body. */
  received = 0;
  text = "";
  wrong: Wrong | undefined;
  /** The versions that the body so far could be of; undefined before its first byte. */
  versions: readonly Version[] | undefined;
  readonly #time: VirtualTime;
  readonly #onEnd: (client: Client) => void;
  #rested = false;

  constructor(
    plan: ReadPlan,
    original: Original,
    headers: Readonly<Record<string, string>>,
    time: VirtualTime,
    onEnd: (client: Client) => void,
  ) {
    this.plan = plan;
    this.original = original;
    this.headers = headers;
    this.startedAt = time.now;
    this.#time = time;
    this.#onEnd = onEnd;
    this.request = new FakeRequest(plan.head ? "HEAD" : "GET", headers);
    this.response = new FakeResponse(this.request, {
      head: (status, answered) => this.#onHead(status, answered),
      body: (bytes, taken) => this.#onBody(bytes, taken),
      end: () => this.#onEnded("complete"),
      destroyed: () => this.#onEnded("destroyed"),
      later: (act) => void time.after(0, act),
    });
    if (plan.leaveAt !== undefined) time.after(plan.leaveAt, () => this.leave());
  }

  get isAudio(): boolean {
    return this.status === 200 || this.status === 206;
  }

  /** The offset of the body's first byte. */
  get start(): number {
    return this.status === 206 ? Number(/^bytes (\d+)-/.exec(this.answered["content-range"] ?? "")?.[1]) : 0;
  }

  /** Closes its connection. */
  leave(): void {
    if (this.end !== undefined) return;
    this.#finish("left");
    this.response.vanish();
    this.request.emit("close");
  }

  /** The server ends, and its sockets with it. */
  cut(): void {
    if (this.end !== undefined) return;
    this.#finish("killed");
    this.response.vanish();
    this.request.emit("close");
  }

  /** The other side is gone without a word. */
  kill(): void {
    if (this.end === undefined) this.#finish("killed");
  }

  #onHead(status: number, answered: Readonly<Record<string, string>>): void {
    this.status = status;
    this.answered = answered;
    this.headersAt = this.#time.now - this.startedAt;
  }

  #onBody(bytes: Uint8Array, taken: () => void): void {
    if (this.end !== undefined) return;
    this.firstByteAt ??= this.#time.now - this.startedAt;
    const before = Buffer.from(bytes.subarray(0, 16));
    const take = (): void => {
      if (this.end !== undefined) return;
      this.#check(bytes, before);
      this.received += bytes.length;
      const { leaveAfter, rest } = this.plan;
      if (leaveAfter !== undefined && this.received >= leaveAfter) return this.leave();
      if (rest !== undefined && !this.#rested && this.received >= rest.after) {
        this.#rested = true;
        this.#time.after(rest.ms, taken);
      } else taken();
    };
    // The kernel looks at the bytes at any time until it says that it has taken them.
    this.#time.after(this.plan.speed > 0 ? bytes.length / this.plan.speed : 0, take);
  }

  #check(bytes: Uint8Array, before: Uint8Array): void {
    if (!this.isAudio) {
      this.text += Buffer.from(bytes).toString();
      return;
    }
    const at = this.start + this.received;
    if (Buffer.compare(bytes.subarray(0, before.length), before) !== 0) {
      this.wrong ??= new Wrong(`the buffer at ${at} was used again before it was taken`);
    }
    const among = this.versions ?? [...this.original.versions.values()];
    const isHere = (version: Version): boolean => Buffer.compare(version.bytes(at, at + bytes.length), bytes) === 0;
    let left = among.filter(isHere);
    if (left.length === 0) left = this.#sameSoFar(among, at).filter(isHere);
    if (left.length === 0) {
      const were = among.map(({ key }) => key).join(", ");
      this.wrong ??= new Wrong(`bytes [${at}, ${at + bytes.length}) are of no version among: ${were}`);
    }
    this.versions = left;
  }

  /** Versions that were served since, and agree with what came before `at`: that it went on with. */
  #sameSoFar(among: readonly Version[], at: number): Version[] {
    const [one] = among;
    if (one === undefined) return [];
    const before = one.bytes(this.start, at);
    return [...this.original.versions.values()].filter(
      (other) => Buffer.compare(other.bytes(this.start, at), before) === 0,
    );
  }

  #onEnded(end: "complete" | "destroyed"): void {
    if (this.end === undefined) this.#finish(end);
  }

  #finish(end: End): void {
    this.end = end;
    this.endedAt = this.#time.now - this.startedAt;
    this.#onEnd(this);
  }
}

class FakeRequest extends EventEmitter {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly url = "/";
  readonly httpVersion = "1.1";
  readonly readableEnded = true;
  readonly socket = { resetAndDestroy() {} };

  constructor(method: string, headers: Readonly<Record<string, string>>) {
    super();
    this.method = method;
    this.headers = headers;
  }

  /** As the handler knows it. */
  get asIncoming(): IncomingMessage {
    return this as unknown as IncomingMessage;
  }
}

interface ResponseHooks {
  head(status: number, headers: Readonly<Record<string, string>>): void;
  body(bytes: Uint8Array, taken: () => void): void;
  end(): void;
  destroyed(): void;
  later(act: () => void): void;
}

class FakeResponse extends EventEmitter {
  readonly req: FakeRequest;
  headersSent = false;
  destroyed = false;
  writableEnded = false;
  readonly #hooks: ResponseHooks;
  #unsent = 0;
  #closed = false;

  constructor(request: FakeRequest, hooks: ResponseHooks) {
    super();
    this.req = request;
    this.#hooks = hooks;
  }

  /** As the handler knows it. */
  get asServer(): ServerResponse {
    return this as unknown as ServerResponse;
  }

  writeHead(status: number, headers: Readonly<Record<string, string | number>>): this {
    if (this.headersSent) throw new Error("Headers were sent twice");
    this.headersSent = true;
    const named = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]);
    if (!this.destroyed) this.#hooks.head(status, Object.fromEntries(named) as Record<string, string>);
    return this;
  }

  flushHeaders(): void {}

  write(bytes: Uint8Array, done: () => void = () => {}): boolean {
    if (this.writableEnded) throw new Error("Written after the end");
    if (this.destroyed) return false;
    this.#unsent += 1;
    this.#hooks.body(bytes, () => {
      this.#unsent -= 1;
      done();
      this.#ended();
    });
    return true;
  }

  end(text?: string): this {
    if (text !== undefined) this.write(Buffer.from(text));
    this.writableEnded = true;
    this.#ended();
    return this;
  }

  destroy(): this {
    if (this.destroyed) return this;
    this.vanish();
    this.#hooks.destroyed();
    return this;
  }

  /** Its connection is gone. */
  vanish(): void {
    this.destroyed = true;
    this.#close();
  }

  #ended(): void {
    if (!this.writableEnded || this.#unsent > 0 || this.destroyed) return;
    this.#hooks.end();
    this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#hooks.later(() => this.emit("close"));
  }
}
