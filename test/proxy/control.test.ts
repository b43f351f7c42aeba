import { once } from "node:events";
import { truncate, writeFile } from "node:fs/promises";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ownerSocketPath } from "../../src/cache/cache-dir.ts";
import { Pins } from "../../src/prefetch/pins.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";

const MiB = 1024 ** 2;
let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
  rig.up.resource("song", { size: MiB });
});
afterEach(() => rig.close());

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** Over the owner's socket. Rejects if the connection ends before the answer does. */
async function ask(method: string, path: string, body?: object, signal?: AbortSignal): Promise<Answer> {
  const socketPath = ownerSocketPath(rig.cacheDir);
  const outgoing = httpRequest({ socketPath, method, path, agent: false, ...(signal && { signal }) });
  outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of response as AsyncIterable<Buffer>) parts.push(part);
  const text = Buffer.concat(parts).toString();
  return { status: response.statusCode ?? 0, body: text === "" ? {} : JSON.parse(text.split("\n").at(0) ?? "") };
}

describe("when the owner ends", () => {
  test("an answer that is being given comes to its end first", async () => {
    rig.up.script("song", [{ do: { stall: "headers" } }]);
    const pinned = ask("PUT", "/api/tracks/u/song/pin");
    await eventually(() => expect(rig.up.live("song")).toBe(1));
    const closed = rig.proxy.close();
    rig.up.release("song");
    await closed;
    expect(await pinned).toMatchObject({ status: 200, body: { pinned: true } });
    await expect(ask("GET", "/control/about")).rejects.toThrow();
  });

  test("one that does not end is cut after a second", async () => {
    rig.up.script("song", [{ do: { stall: "headers" } }]);
    const pinned = ask("PUT", "/api/tracks/u/song/pin").catch((error: unknown) => error);
    await eventually(() => expect(rig.up.live("song")).toBe(1));
    const began = performance.now();
    await rig.proxy.close();
    // By itself it would take the 8 s of a stall, and more.
    expect(performance.now() - began).toBeLessThan(5000);
    expect(await pinned).toBeInstanceOf(Error);
  });
});

describe("clear", () => {
  test("takes away what is stored, wishes, and pins, also of what has no bytes yet; nothing of it comes back", async () => {
    await ask("PUT", "/api/tracks/u/song/pin");
    await eventually(async () =>
      expect((await ask("GET", "/api/tracks/u/song")).body).toMatchObject({ complete: true }),
    );
    await rig.proxy.close();
    const pins = new Pins(join(dirname(ownerSocketPath(rig.cacheDir)), "pins.log"));
    await pins.load();
    await pins.add({ source: "u", id: "later" });
    await rig.up.goOffline();
    await rig.restart();
    await ask("PUT", "/api/prefetch?list=next", { ids: ["u/later"] });
    expect((await ask("POST", "/control/clear")).body).toEqual({ removed: 1, bytes: MiB, kept: 0 });
    expect((await ask("GET", "/api/prefetch")).body).toEqual({ lists: {}, tracks: [] });
    await rig.up.goOnline();
    rig.up.resource("later", { size: MiB });
    await rig.restart();
    expect((await ask("GET", "/api/tracks")).body).toEqual({ tracks: [] });
    await delay(100);
    expect(rig.up.requests().filter(({ resource }) => resource === "later")).toEqual([]);
  });
});

describe("import", () => {
  test("whose client leaves in the middle keeps nothing", async () => {
    const file = join(rig.cacheDir, "long.flac");
    await writeFile(file, "fLaC");
    await truncate(file, 1500 * MiB);
    const left = new AbortController();
    const imported = ask("POST", "/control/import", { file, source: "u", id: "long" }, left.signal).catch(() => "left");
    await eventually(async () => expect((await ask("GET", "/control/about")).body["bytes"]).toBeGreaterThan(0));
    left.abort();
    expect(await imported).toBe("left");
    await eventually(async () => expect((await ask("GET", "/control/about")).body["bytes"]).toBe(0));
    expect((await ask("GET", "/api/tracks/u/long")).status).toBe(404);
    expect(rig.log.filter(({ level }) => level === "error")).toEqual([]);
  });
});
