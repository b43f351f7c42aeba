import { type IncomingMessage, request } from "node:http";
import { createInterface } from "node:readline";
import { text as readAll } from "node:stream/consumers";
import { abortReason } from "../../errors.ts";
import { Failure, oneLine } from "../problems.ts";
import { Misfit, type Shape } from "./shapes.ts";

/** The socket's other end could not be reached, or went away before it had answered. */
export class Gone extends Error {
  /** False: the request cannot have had any effect. */
  readonly reached: boolean;
  /** The system's code for it, where there is one. */
  readonly reason: string;

  constructor(reached: boolean, cause: Error) {
    super("the owner went away", { cause });
    this.reached = reached;
    const code: unknown = Reflect.get(cause, "code");
    this.reason = typeof code === "string" ? code : "unknown error";
  }
}

/** The owner refused a request. */
export class Problem extends Failure {
  readonly code: string;

  constructor(code: string, detail: string) {
    super(detail);
    this.code = code;
  }
}

export interface Ask {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

/** One request over the Unix socket (or named pipe) at `socketPath`, answered with 2xx; its body is still to be read. */
export async function ask(socketPath: string, { method, path, body, signal }: Ask): Promise<IncomingMessage> {
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const response = await new Promise<IncomingMessage>((answered, fail) => {
    let reached = false;
    const sent = request({
      socketPath,
      method,
      path,
      // A connection that is used once is never half-dead.
      agent: false,
      headers: {
        host: "localhost",
        accept: "application/json",
        ...(payload !== undefined && {
          "content-type": "application/json",
          "content-length": Buffer.byteLength(payload),
        }),
      },
      ...(signal !== undefined && { signal }),
    });
    sent.on("socket", (socket) => socket.once("connect", () => (reached = true)));
    sent.on("response", answered);
    sent.on("error", (error) => fail(signal?.aborted === true ? abortReason(signal) : new Gone(reached, error)));
    sent.end(payload);
  });
  const { statusCode = 0 } = response;
  if (statusCode >= 200 && statusCode < 300) return response;
  throw problemOf(statusCode, await bodyOf(response, signal));
}

/** The whole of an answer. An empty one is `undefined`. */
export async function readJson<T>(response: IncomingMessage, shape: Shape<T>, signal?: AbortSignal): Promise<T> {
  const body = await bodyOf(response, signal);
  return fitted(body === "" ? undefined : body, shape);
}

/** Each line of an answer as it comes. */
export async function* readLines<T>(
  response: IncomingMessage,
  shape: Shape<T>,
  signal?: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  // readline ends where a broken stream does, and tells no one.
  let broken: Error | undefined;
  response.on("error", (error) => (broken = error));
  try {
    for await (const line of createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line.trim() !== "") yield fitted(line, shape);
    }
    if (broken !== undefined) throw signal?.aborted === true ? abortReason(signal) : new Gone(true, broken);
  } finally {
    response.destroy();
  }
}

async function bodyOf(response: IncomingMessage, signal?: AbortSignal): Promise<string> {
  try {
    return await readAll(response);
  } catch (error) {
    if (signal?.aborted === true) throw abortReason(signal);
    throw new Gone(true, error instanceof Error ? error : new Error(String(error)));
  }
}

function fitted<T>(json: string | undefined, shape: Shape<T>): T {
  try {
    return shape(json === undefined ? undefined : JSON.parse(json));
  } catch (error) {
    if (!(error instanceof Misfit) && !(error instanceof SyntaxError)) throw error;
    throw new Failure("the owner of the cache directory answers in an unknown way; is it of another version?", {
      cause: error,
    });
  }
}

function problemOf(status: number, body: string): Problem {
  const fallback = status === 404 || status === 405 ? "unsupported" : `status ${status}`;
  try {
    const value: unknown = JSON.parse(body);
    const field = (name: string): string | undefined => {
      const found: unknown = typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
      return typeof found === "string" && found !== "" ? oneLine(found) : undefined;
    };
    const code = field("code") ?? fallback;
    return new Problem(code, field("detail") ?? field("title") ?? code);
  } catch {
    return new Problem(fallback, `the owner of the cache directory answered ${fallback}`);
  }
}
