import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createGuardedConnector } from "../../data-source/guarded-connector.ts";
import { isAfterbayError } from "../../errors.ts";

/** The reason phrase of a refusal, which yt-dlp repeats. */
export const REFUSED = "Afterbay lets nobody there";

type Connect = ReturnType<typeof createGuardedConnector>;

/**
 * A child process' way to the net: a forward proxy on loopback, for whoever knows its password, that connects to allowed
 * addresses alone. A page may redirect to a private address, and a name may lead to another one each time: only whoever
 * connects can judge it.
 */
export class Guard {
  readonly #server: Server;
  readonly #connect: Connect;
  readonly #password = randomBytes(24).toString("hex");
  readonly #sockets = new Set<Duplex>();

  static async start(options: { readonly allowPrivate: boolean }): Promise<Guard> {
    const guard = new Guard(options.allowPrivate);
    await new Promise<void>((resolve, reject) => {
      guard.#server.once("error", reject).listen(0, "127.0.0.1", resolve);
    });
    guard.#server.unref();
    return guard;
  }

  private constructor(allowPrivate: boolean) {
    this.#connect = createGuardedConnector({ allowPrivate, exempt: new Set() });
    this.#server = createServer((incoming, response) => this.#forward(incoming, response));
    this.#server.on("connect", (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.unshift(head);
      this.#tunnel(incoming, socket);
    });
    this.#server.on("connection", (socket: Socket) => this.#keep(socket));
  }

  /** For the environment of a child: not for its arguments, which every user of the machine can read. */
  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://afterbay:${this.#password}@127.0.0.1:${port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** CONNECT, for https. */
  #tunnel(incoming: IncomingMessage, socket: Duplex): void {
    socket.on("error", () => {});
    const refuse = (line: string): void => void socket.end(`HTTP/1.1 ${line}\r\nconnection: close\r\n\r\n`);
    const url = URL.canParse(`http://${incoming.url}`) ? new URL(`http://${incoming.url}`) : undefined;
    if (!this.#knows(incoming)) return refuse("407 Proxy Authentication Required");
    if (url === undefined) return refuse("400 Bad Request");
    this.#reach(url, "443", (error, upstream) => {
      if (upstream === undefined) return refuse(`${error.status} ${error.reason}`);
      upstream.on("error", () => socket.destroy()).once("close", () => socket.destroy());
      socket.once("close", () => upstream.destroy());
      socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      upstream.pipe(socket).pipe(upstream);
    });
  }

  /** A request for an http URL. */
  #forward(incoming: IncomingMessage, response: ServerResponse): void {
    const refuse = (status: number, reason: string): void => void response.writeHead(status, reason).end();
    const { url: target = "", method = "GET" } = incoming;
    const url = /^http:\/\//i.test(target) && URL.canParse(target) ? new URL(target) : undefined;
    if (!this.#knows(incoming)) return refuse(407, "Proxy Authentication Required");
    if (url === undefined) return refuse(400, "Bad Request");
    this.#reach(url, "80", (error, socket) => {
      if (socket === undefined) return refuse(error.status, error.reason);
      const { "proxy-authorization": _secret, "proxy-connection": _hop, ...headers } = incoming.headers;
      const sent = request(url, {
        method,
        headers: { ...headers, connection: "close" },
        createConnection: () => socket,
      });
      sent.once("response", (answer) => {
        const { connection: _own, "keep-alive": _time, ...kept } = answer.headers;
        answer.on("error", () => response.destroy());
        try {
          response.writeHead(answer.statusCode ?? 502, answer.statusMessage, kept);
          answer.pipe(response);
        } catch {
          // Node reads what it refuses to write: statuses out of range, control characters.
          response.destroy();
          socket.destroy();
        }
      });
      sent.once("error", () => {
        if (response.headersSent) response.destroy();
        else refuse(502, "Bad Gateway");
      });
      response.once("close", () => socket.destroy());
      incoming.pipe(sent);
    });
  }

  #reach(
    url: URL,
    port: string,
    done: (...outcome: [undefined, Socket] | [{ status: number; reason: string }, undefined]) => void,
  ): void {
    const { hostname } = url;
    this.#connect({ hostname, host: url.host, port: url.port || port, protocol: "http:" }, (error, socket) => {
      if (socket) {
        this.#keep(socket);
        done(undefined, socket);
      } else if (isAfterbayError(error)) done({ status: 403, reason: REFUSED }, undefined);
      else done({ status: 502, reason: reasonOf(error) }, undefined);
    });
  }

  #knows({ headers }: IncomingMessage): boolean {
    const expected = Buffer.from(`Basic ${btoa(`afterbay:${this.#password}`)}`);
    const given = Buffer.from(headers["proxy-authorization"] ?? "");
    return given.length === expected.length && timingSafeEqual(given, expected);
  }

  #keep(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }
}

/** What yt-dlp repeats, as it would say it itself. */
function reasonOf(error: NodeJS.ErrnoException | null): string {
  if (error?.code === "ENOTFOUND" || error?.code === "EAI_AGAIN") return "Name or service not known";
  return "Connection refused";
}
