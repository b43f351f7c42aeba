import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, FramingError, request } from "../helpers/http-client.ts";
import { eventually } from "../helpers/process.ts";

/** What the next connection's requests are answered with: bytes as they are, piece by piece; null ends the connection. */
let script: (string | null)[][];
let received: string[];
let sockets: Socket[];
let server: Server;
let port: number;

beforeEach(async () => {
  script = [];
  received = [];
  sockets = [];
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      received.push(bytes.toString());
      void answer(socket, script.shift() ?? []);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ({ port } = server.address() as AddressInfo);
});

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

async function answer(socket: Socket, pieces: (string | null)[]): Promise<void> {
  for (const piece of pieces) {
    if (piece === null) socket.end();
    else socket.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const text = (body: Uint8Array) => Buffer.from(body).toString();

describe("request", () => {
  it("sends the head as told", async () => {
    script = [["HTTP/1.1 204 No Content\r\n\r\n", null]];
    await request({ port, path: "/x?y", headers: { Range: "bytes=0-", "X-Two": ["a", "b"] }, requestBody: "hi" });
    expect(received.join("")).toBe(
      `GET /x?y HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nconnection: close\r\nRange: bytes=0-\r\nX-Two: a\r\nX-Two: b\r\nContent-Length: 2\r\n\r\nhi`,
    );
    script = [["HTTP/1.1 204 No Content\r\n\r\n", null]];
    await request({ port, headers: { host: "evil.test" } });
    expect(received.at(-1)).not.toContain("127.0.0.1");
  });

  it("takes head and body from pieces cut anywhere", async () => {
    const response = "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\nX-A: 1\r\nX-a: 2\r\n\r\nhello";
    script = [[...response.split(""), null]];
    expect(await request({ port })).toMatchObject({
      status: 206,
      statusText: "Partial Content",
      headers: { "content-length": "5", "x-a": "1, 2" },
      rawHeaders: [
        ["Content-Length", "5"],
        ["X-A", "1"],
        ["X-a", "2"],
      ],
      complete: true,
      closed: true,
      extraBytes: 0,
    });
  });

  it("takes chunks apart", async () => {
    script = [
      [
        ..."HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: t\r\n\r\n".split(
          "",
        ),
        null,
      ],
    ];
    const response = await request({ port });
    expect([text(response.body), response.complete, response.extraBytes]).toEqual(["abc0123456789", true, 0]);
  });

  it("skips interim responses, expects no body where there is none", async () => {
    script = [["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", null]];
    expect(await request({ port })).toMatchObject({ status: 304, complete: true, body: { length: 0 } });
    script = [["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", null]];
    expect(await request({ port, method: "HEAD" })).toMatchObject({ complete: true, body: { length: 0 } });
  });

  it("knows an end too early", async () => {
    script = [["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour", null]];
    expect(await request({ port })).toMatchObject({ complete: false, closed: true, body: { length: 4 } });
    script = [["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", null]];
    expect(await request({ port })).toMatchObject({ complete: false, body: { length: 3 } });
    script = [["HTTP/1.1 200 OK\r\n\r\nwhatever", null]];
    expect(await request({ port })).toMatchObject({ complete: true, body: { length: 8 } });
    script = [["HTTP/1.1 200 OK\r\nContent-Le", null]];
    await expect(request({ port })).rejects.toThrow("FIN");
  });

  it("counts bytes after the end", async () => {
    script = [["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "xy", "z", null]];
    expect(await request({ port })).toMatchObject({ complete: true, extraBytes: 3, body: { length: 2 } });
    script = [["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "x"]];
    expect(await request({ port })).toMatchObject({ complete: true, extraBytes: 1, closed: false });
  });

  it.each([
    ["no response", "SPDY/9 yes\r\n\r\n", "Not a response"],
    ["a broken status", "HTTP/1.1 OK\r\n\r\n", "Not a status line"],
    ["a broken header", "HTTP/1.1 200 OK\r\nnothing\r\n\r\n", "Not a header"],
    ["a broken length", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi", "Not a Content-Length"],
    ["two framings", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", "Both"],
    ["a broken chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "Not a chunk size"],
    [
      "a chunk too long",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
      "does not end with CRLF",
    ],
  ])("refuses %s", async (_what, response, message) => {
    script = [[response]];
    const failing = request({ port });
    await expect(failing).rejects.toThrow(FramingError);
    await expect(failing).rejects.toThrow(message);
    await eventually(() => expect(sockets[0]?.readableEnded || sockets[0]?.destroyed).toBe(true));
  });

  it("leaves after so many bytes, or after the head", async () => {
    for (const readBytes of [3, 0]) {
      script = [["HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "hello"]];
      const response = await request({ port, readBytes });
      expect([text(response.body), response.complete, response.closed]).toEqual([
        "hello".slice(0, readBytes),
        false,
        false,
      ]);
    }
    await eventually(() => expect(sockets.every((socket) => socket.readableEnded || socket.destroyed)).toBe(true));
  });

  it("an abort rejects with its reason, at once", async () => {
    script = [["HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello"]];
    const abort = new AbortController();
    const reason = new Error("enough");
    await expect(
      request({ port, signal: abort.signal, onProgress: (length) => length > 0 && abort.abort(reason) }),
    ).rejects.toBe(reason);
    await expect(request({ port, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it("reads slowly", async () => {
    script = [["HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n", "x".repeat(20_000), null]];
    const before = performance.now();
    expect(await request({ port, rate: 100_000 })).toMatchObject({ complete: true, body: { length: 20_000 } });
    expect(performance.now() - before).toBeGreaterThan(180);
  });
});

describe("a connection", () => {
  it("carries requests one after the other", async () => {
    script = [["HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"], ["HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"]];
    const connection = await connect({ port });
    expect(text((await connection.request({})).body)).toBe("a");
    expect(text((await connection.request({ path: "/2" })).body)).toBe("b");
    expect(sockets).toHaveLength(1);
    connection.destroy();
  });

  it("refuses bytes between two responses", async () => {
    script = [["HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "surplus"]];
    const connection = await connect({ port });
    await connection.request({});
    await new Promise((resolve) => setTimeout(resolve, 20));
    await expect(connection.request({})).rejects.toThrow("7 bytes between two responses");
  });

  it("is given up with a response that is not read to its end", async () => {
    script = [["HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello"]];
    const connection = await connect({ port });
    expect(text((await connection.request({ readBytes: 2 })).body)).toBe("he");
    await eventually(() => expect(sockets[0]?.readableEnded || sockets[0]?.destroyed).toBe(true));
  });

  it("knows when the server has ended it", async () => {
    script = [["HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", null]];
    const connection = await connect({ port });
    await connection.request({});
    await eventually(() => expect(connection.closed).toBe(true));
    await expect(connection.request({})).rejects.toThrow();
  });
});
