import { type Answer, lengthOf, stretchOf } from "./answer.ts";
import type { At, Behaviour } from "./behaviour.ts";
import { type Clock, realClock } from "./clock.ts";
import type { Exchange, Head } from "./connection.ts";

export interface Sending {
  readonly method: string;
  readonly clock: Clock;
  /** Settles when a stalled answer may go on. */
  readonly released: (signal: AbortSignal) => Promise<void>;
  /** Told of every piece of the resource that the socket took. */
  readonly onBytes: (count: number) => void;
}

type Disturbance = { readonly at: number } & (
  | { readonly kind: "reset" | "close" | "stall" | "end" }
  | { readonly kind: "pause"; readonly ms: number }
  | { readonly kind: "trickle"; readonly rate: number }
);

const PIECE = 64 * 1024;

/** Sends the answer. True if the script ended it before its time. */
export async function send(
  answer: Answer,
  behaviour: Behaviour,
  exchange: Exchange,
  sending: Sending,
): Promise<boolean> {
  const { signal } = exchange;
  const pacer = new Pacer(sending.clock, behaviour.pace);
  const bodiless = sending.method === "HEAD" || answer.status === 204 || answer.status === 304;
  const length = bodiless ? 0 : lengthOf(answer.body);
  const ofResource = stretchOf(answer) !== undefined;

  const disturb = async (disturbance: Disturbance): Promise<boolean> => {
    if (disturbance.kind === "reset") await exchange.reset();
    if (disturbance.kind === "close") exchange.close();
    if (disturbance.kind === "stall") await sending.released(signal);
    if (disturbance.kind === "pause") await sending.clock.delay(disturbance.ms, signal);
    if (disturbance.kind === "trickle") pacer.setRate(disturbance.rate);
    return disturbance.kind === "reset" || disturbance.kind === "close";
  };

  const plan = disturbances(behaviour, answer, length);
  for (const early of plan.filter(({ at }) => at < 0)) if (await disturb(early)) return true;
  await writeHead(answer, exchange, bodiless);
  let position = 0;
  for (const stop of [...plan.filter(({ at }) => at >= 0), { at: length, kind: "end" } as const]) {
    while (position < stop.at) {
      const piece = pieceAt(answer, position, Math.min(pacer.piece, stop.at - position));
      await exchange.write(answer.framing === "chunked" ? chunk(piece) : piece);
      position += piece.length;
      if (ofResource) sending.onBytes(piece.length);
      // Whoever has the last byte may ask for more at once: this answer is over then.
      if (position < length) await pacer.sent(piece.length, signal);
    }
    if (await disturb(stop)) return true;
  }
  if (answer.framing === "chunked" && !bodiless) await exchange.write(Buffer.from("0\r\n\r\n"));
  return false;
}

/** Sends the answer as it is. */
export async function deliver(answer: Answer, { method }: Head, exchange: Exchange): Promise<void> {
  const sending = { method, clock: realClock, released: async () => {}, onBytes: () => {} };
  await send(answer, {}, exchange, sending);
}

async function writeHead(answer: Answer, exchange: Exchange, bodiless: boolean): Promise<void> {
  const headers: Record<string, string> = { ...answer.headers };
  const length = lengthOf(answer.body);
  if (answer.framing === "length") headers["content-length"] ??= String(length);
  else delete headers["content-length"];
  if (answer.framing === "chunked") headers["transfer-encoding"] = "chunked";
  // A body shorter than announced ends with the connection; one that is longer spills into what comes next on it.
  const open = answer.framing === "close" || Number(headers["content-length"]) > length;
  await exchange.writeHead(answer.status, headers, bodiless || !open);
}

/** In the order they come; -1 is before the headers. Those at places the body does not reach are left out. */
function disturbances(behaviour: Behaviour, answer: Answer, length: number): Disturbance[] {
  const { reset, close, stall, pause, trickle } = behaviour;
  const start = stretchOf(answer)?.start ?? 0;
  const found: Disturbance[] = [];
  const add = (at: At | undefined, make: (at: number) => Disturbance) => {
    if (at === undefined) return;
    const place = at === "headers" ? -1 : typeof at === "number" ? at : at.offset - start;
    if (place <= length && (at === "headers" || place >= 0)) found.push(make(place));
  };
  add(trickle?.at, (at) => ({ at, kind: "trickle", rate: trickle?.rate ?? 1 }));
  add(pause?.at, (at) => ({ at, kind: "pause", ms: pause?.ms ?? 0 }));
  add(stall, (at) => ({ at, kind: "stall" }));
  add(close, (at) => ({ at, kind: "close" }));
  add(reset, (at) => ({ at, kind: "reset" }));
  return found.toSorted((a, b) => a.at - b.at);
}

/** Up to `limit` bytes of the body at `position`. */
function pieceAt(answer: Answer, position: number, limit: number): Uint8Array {
  let before = 0;
  for (const part of answer.body) {
    const length = part instanceof Uint8Array ? part.length : part.end - part.start;
    const from = position - before;
    if (from < length) {
      const to = Math.min(from + limit, length);
      return part instanceof Uint8Array ? part.subarray(from, to) : answer.bytes(part.start + from, part.start + to);
    }
    before += length;
  }
  throw new RangeError("A position past the body's end");
}

function chunk(piece: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]);
}

/** Keeps the average since its rate was set at or below that rate, in about 50 steps a second. */
class Pacer {
  readonly #clock: Clock;
  #rate: number | undefined;
  #since = 0;
  #sent = 0;

  constructor(clock: Clock, rate: number | undefined) {
    this.#clock = clock;
    this.setRate(rate);
  }

  setRate(rate: number | undefined): void {
    this.#rate = rate;
    this.#since = this.#clock.now();
    this.#sent = 0;
  }

  /** The most bytes to send at once. */
  get piece(): number {
    return this.#rate === undefined ? PIECE : Math.min(PIECE, Math.max(1, Math.ceil(this.#rate / 50)));
  }

  async sent(count: number, signal: AbortSignal): Promise<void> {
    if (this.#rate === undefined) return;
    this.#sent += count;
    const due = (this.#sent / this.#rate) * 1000 - (this.#clock.now() - this.#since);
    if (due >= 1) await this.#clock.delay(due, signal);
  }
}
