import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { AfterbayError } from "../errors.ts";
import { createDoors, type DoorOptions, type Doors } from "./doors.ts";
import { sendProblem } from "./problem.ts";
import { publicRoutes } from "./routes.ts";
import { dispatch, type Site } from "./routing.ts";

export interface ServerOptions extends Omit<DoorOptions, "port"> {
  /** 0 takes a free port. */
  readonly port: number;
  readonly site: Site;
}

export interface RunningServer {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  close(): Promise<void>;
}

/** A client that takes longer for its headers is cut off, ms: slow headers cost a connection each. */
const HEADERS_TIMEOUT_MS = 10_000;
/** How often the time limits are held against the connections, ms. Node's own 30 s would let a limit of 10 s be 40 s. */
const CHECK_CONNECTIONS_MS = 1000;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_CONNECTIONS = 10_000;

/** Starts the HTTP server. Rejects with the system's error if the address cannot be had. */
export async function listen(options: ServerOptions): Promise<RunningServer> {
  let doors: Doors = () => ({ kind: "refused", error: new AfterbayError("busy", "Starting"), headers: {} });
  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_CONNECTIONS_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      keepAliveTimeout: 10_000,
    },
    (request, response) => {
      // A client that resets its connection is no error of ours.
      response.on("error", () => {});
      void handle(options.site, doors, request, response);
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, resolve);
  });
  // A connection that cannot be accepted (no file handle left for it) costs that client its turn, not all others theirs.
  server.on("error", () => {});
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  doors = createDoors({ ...options, port });
  const name = options.host.includes(":") ? `[${options.host}]` : options.host;
  return { url: `http://${name}:${port}`, close: () => closeServer(server) };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function handle(site: Site, doors: Doors, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const verdict = doors(request);
  for (const [name, value] of Object.entries(verdict.headers)) response.setHeader(name, value);
  if (verdict.kind === "preflight") response.writeHead(204).end();
  else if (verdict.kind === "refused") sendProblem(response, verdict.error);
  else await dispatch(publicRoutes, site, request, response);
}
