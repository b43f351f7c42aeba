import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { splitTarget } from "../../http/track-path.ts";

/** Where the owner of the cache directory answers. */
export interface RelayTarget {
  readonly socketPath: string;
  /** It may be another one by now: that is worth a look. */
  readonly isPassing: boolean;
  renew(): Promise<void>;
}

/** An address on this machine for what can only open addresses: mpv. */
export interface Relay {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  /** Whoever has it comes in, as `?token=` or as a Bearer token. */
  readonly token: string;
  close(): Promise<void>;
}

/** Headers that mean something to the owner. */
const PASSED_ON = ["range", "if-range", "user-agent", "content-type", "content-length"] as const;
/** Those of a connection, not of an answer (RFC 9110, section 7.6.1). */
const OF_CONNECTION = ["connection", "keep-alive", "transfer-encoding"];
/** What the owner serves to all; what else it does on its socket is not for whoever has an address. */
const SERVED = /^\/(?:stream|api)\//;

/**
 * Hands on requests to the owner's socket, which asks nobody for a token and stays where it is when the server restarts.
 * While nobody answers there, so does this: 503.
 */
export async function startRelay(target: RelayTarget): Promise<Relay> {
  const token = randomBytes(24).toString("hex");
  const server = createServer((incoming, response) => {
    response.on("error", () => {});
    void serve(target, token, incoming, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    token,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function serve(target: RelayTarget, token: string, incoming: IncomingMessage, response: ServerResponse) {
  const { path, query } = splitTarget(incoming.url ?? "/");
  const given = query.get("token") ?? /^Bearer (.+)$/.exec(incoming.headers.authorization ?? "")?.[1] ?? "";
  if (!isSame(given, token) || !SERVED.test(path)) {
    refuse(response, 403);
    return;
  }
  query.delete("token");
  const asked = query.size === 0 ? path : `${path}?${query.toString()}`;
  try {
    await handOn(target.socketPath, asked, incoming, response);
  } catch {
    // Nothing of the request was taken.
    if (!target.isPassing) refuse(response, 503);
    else
      await target
        .renew()
        .then(() => handOn(target.socketPath, asked, incoming, response))
        .catch(() => refuse(response, 503));
  }
}

/** Rejects if nobody listens at the socket. */
function handOn(socketPath: string, path: string, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    const { method } = incoming;
    const headers = { host: "localhost", ...passedOn(incoming.headers) };
    const outgoing = request({ socketPath, path, method, agent: false, headers });
    let reached = false;
    const leave = (): void => void outgoing.destroy();
    response.once("close", leave);
    outgoing.on("socket", (socket) =>
      socket.once("connect", () => {
        reached = true;
        incoming.pipe(outgoing);
      }),
    );
    outgoing.on("response", (answer) => {
      const kept = Object.entries(answer.headers).filter(([name]) => !OF_CONNECTION.includes(name));
      response.writeHead(answer.statusCode ?? 502, Object.fromEntries(kept));
      // An answer that breaks off must not look as if it had ended.
      answer.on("error", () => response.destroy());
      answer.pipe(response);
      resolve();
    });
    outgoing.on("error", (error) => {
      if (!reached && !response.destroyed) {
        response.off("close", leave);
        reject(error);
        return;
      }
      if (response.headersSent) response.destroy();
      else refuse(response, 503);
      resolve();
    });
  });
}

function passedOn(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    PASSED_ON.flatMap((name) => {
      const value = headers[name];
      return value === undefined ? [] : [[name, String(value)]];
    }),
  );
}

function refuse(response: ServerResponse, status: number): void {
  if (!response.headersSent) response.writeHead(status, { "content-length": "0", "retry-after": "1" });
  response.end();
}

function isSame(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)];
  return left.length === right.length && timingSafeEqual(left, right);
}
