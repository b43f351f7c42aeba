import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Agent, request } from "undici";
import { afterEach, describe, expect, it } from "vitest";
import {
  createGuardedConnector,
  type GuardOptions,
  guardedLookup,
  type LookupAll,
} from "../../src/data-source/guarded-connector.ts";
import { isAfterbayError } from "../../src/errors.ts";

/** Answers every name with `addresses`, and keeps count of the questions. */
function fakeDns(...addresses: string[]): { lookup: LookupAll; asked: string[] } {
  const asked: string[] = [];
  const lookup: LookupAll = (hostname, _options, callback) => {
    asked.push(hostname);
    setImmediate(() =>
      callback(
        null,
        addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
      ),
    );
  };
  return { lookup, asked };
}

type Found = { error: unknown; address: unknown; family: unknown };

function ask(lookup: LookupAll, lax: boolean, all: boolean): Promise<Found> {
  return new Promise((resolve) => {
    guardedLookup(lookup, lax)("name.example", { all }, (error, address, family) =>
      resolve({ error, address, family }),
    );
  });
}

describe("guardedLookup", () => {
  it("keeps allowed addresses only", async () => {
    const { lookup } = fakeDns("127.0.0.1", "8.8.8.8", "fe80::1", "2606:4700::1111", "10.0.0.1");
    const strict = [
      { address: "8.8.8.8", family: 4 },
      { address: "2606:4700::1111", family: 6 },
    ];
    expect(await ask(lookup, false, true)).toMatchObject({ error: null, address: strict });
    expect(await ask(lookup, false, false)).toEqual({ error: null, address: "8.8.8.8", family: 4 });
    expect(await ask(lookup, true, false)).toEqual({ error: null, address: "127.0.0.1", family: 4 });
    const lax = await ask(lookup, true, true);
    expect(lax.address).toEqual([{ address: "127.0.0.1", family: 4 }, ...strict, { address: "10.0.0.1", family: 4 }]);
  });

  it("refuses where none is left", async () => {
    for (const [addresses, lax] of [
      [["127.0.0.1", "::1"], false],
      [["169.254.169.254", "::ffff:a9fe:a9fe"], true],
      [[], true],
    ] as const) {
      for (const all of [true, false]) {
        const { error } = await ask(fakeDns(...addresses).lookup, lax, all);
        expect(isAfterbayError(error, "wrong-answer")).toBe(true);
      }
    }
  });

  it("passes a failure on", async () => {
    const failure = Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
    const { error } = await ask((_hostname, _options, callback) => callback(failure, []), true, true);
    expect(error).toBe(failure);
  });
});

describe("the connector, with real sockets", () => {
  const closing: Array<() => Promise<unknown>> = [];
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  async function serve(host: string): Promise<{ server: Server; port: number; connections: () => number }> {
    let connections = 0;
    const server = createServer((_request, response) => response.end("private"));
    server.on("connection", () => (connections += 1));
    server.listen(0, host);
    await once(server, "listening");
    closing.push(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    return { server, port: (server.address() as AddressInfo).port, connections: () => connections };
  }

  async function get(url: string, options: Partial<GuardOptions>): Promise<string> {
    const agent = new Agent({
      connect: createGuardedConnector({ allowPrivate: false, exempt: new Set(), ...options }),
    });
    closing.push(() => agent.close());
    try {
      const { body } = await request(url, { dispatcher: agent });
      return await body.text();
    } catch (error) {
      if (isAfterbayError(error)) return `${error.code}: ${error.message}`;
      throw error;
    }
  }

  const refused = "wrong-answer: The resolution points to a private address";

  it("refuses every spelling of loopback, without a connection", async () => {
    const { port, connections } = await serve("127.0.0.1");
    for (const host of [
      "127.0.0.1",
      "127.1",
      "0x7f.1",
      "2130706433",
      "0177.0.0.1",
      "[::ffff:127.0.0.1]",
      "[::ffff:7f00:1]",
      "[::1]",
      "0.0.0.0",
      "0",
      "[::]",
      "localhost",
      "LOCALHOST",
      "127.0.0.1.",
      "１２７.0.0.1",
    ]) {
      expect(await get(`http://${host}:${port}/`, {}), host).toBe(refused);
    }
    expect(connections()).toBe(0);
  });

  it("refuses names that resolve to private addresses, at connect time", async () => {
    const { port, connections } = await serve("127.0.0.1");
    const { lookup, asked } = fakeDns("127.0.0.1", "10.0.0.1");
    expect(await get(`http://music.example:${port}/`, { lookup })).toBe(refused);
    expect(await get(`https://music.example:${port}/`, { lookup })).toBe(refused);
    expect([asked.length, connections()]).toEqual([2, 0]);
  });

  it("lets exactly the exempt host and port in", async () => {
    const { port } = await serve("127.0.0.1");
    const other = await serve("127.0.0.1");
    const exempt = new Set([`127.0.0.1:${port}`, `nas.local:${port}`]);
    const { lookup, asked } = fakeDns("127.0.0.1");
    expect(await get(`http://127.0.0.1:${port}/`, { exempt })).toBe("private");
    expect(await get(`http://0x7f.1:${port}/`, { exempt })).toBe("private");
    expect(await get(`http://NAS.local:${port}/`, { exempt, lookup })).toBe("private");
    expect(asked).toEqual(["nas.local"]);
    expect(await get(`http://127.0.0.1:${other.port}/`, { exempt })).toBe(refused);
    expect(await get(`http://evil.example:${port}/`, { exempt, lookup })).toBe(refused);
    expect(await get(`http://nas.local:${other.port}/`, { exempt, lookup })).toBe(refused);
    expect(other.connections()).toBe(0);
  });

  it("names default ports in exemptions", async () => {
    const { lookup } = fakeDns("8.8.8.8");
    const seen: string[] = [];
    const exempt = { has: (name: string) => (seen.push(name), false) } as unknown as ReadonlySet<string>;
    const connect = createGuardedConnector({ allowPrivate: false, exempt, lookup });
    for (const [protocol, hostname] of [
      ["http:", "10.0.0.1"],
      ["https:", "10.0.0.1"],
      ["http:", "::1"],
    ] as const) {
      await new Promise<void>((resolve) => connect({ hostname, protocol, port: "" }, () => resolve()));
    }
    expect(seen).toEqual(["10.0.0.1:80", "10.0.0.1:443", "[::1]:80"]);
  });

  it("allows private addresses where the user said so, but no link-local ones", async () => {
    const { port } = await serve("127.0.0.1");
    expect(await get(`http://localhost:${port}/`, { allowPrivate: true })).toBe("private");
    expect(await get(`http://a.example:${port}/`, { allowPrivate: true, lookup: fakeDns("127.0.0.1").lookup })).toBe(
      "private",
    );
    const exempt = new Set(["169.254.169.254:80", "meta.example:80"]);
    for (const options of [{ allowPrivate: true }, { exempt }]) {
      expect(await get("http://169.254.169.254/", options)).toBe(refused);
      expect(await get("http://[::ffff:169.254.169.254]/", options)).toBe(refused);
      expect(await get("http://[fe80::1]/", options)).toBe(refused);
      expect(await get("http://meta.example/", { ...options, lookup: fakeDns("169.254.169.254").lookup })).toBe(
        refused,
      );
    }
  });

  it("connects to the address that was judged, and asks for no second one", async () => {
    const { port, connections } = await serve("127.0.0.1");
    let asked = 0;
    const rebinding: LookupAll = (_hostname, _options, callback) => {
      asked += 1;
      callback(null, [{ address: asked === 1 ? "127.0.0.1" : "169.254.169.254", family: 4 }]);
    };
    const exempt = new Set([`rebind.example:${port}`]);
    expect(await get(`http://rebind.example:${port}/`, { exempt, lookup: rebinding })).toBe("private");
    expect([asked, connections()]).toEqual([1, 1]);
    expect(await get(`http://rebind.example:${port}/`, { exempt, lookup: rebinding })).toBe(refused);
    expect([asked, connections()]).toEqual([2, 1]);
  });
});
