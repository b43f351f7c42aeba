import { afterEach, beforeEach, expect, test } from "vitest";
import type { Resolver } from "../../src/data-source/resolution.ts";
import { createChain } from "../../src/resolvers/chain/chain.ts";
import { createUrlResolver } from "../../src/resolvers/url.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";
import { type ResourceOptions, startUpstream, type Upstream } from "../helpers/scripted-upstream.ts";

const SIZE = 2 * 1024 ** 2;
let one: Upstream;
let other: Upstream;
let rig: Rig;
/** With a chain that remembers nothing. */
let restart: () => Promise<void>;
beforeEach(async () => {
  one = await startUpstream();
  other = await startUpstream();
});
afterEach(async () => {
  await rig.close();
  await one.close();
  await other.close();
});

/** Two places for a song, `other` after `one`. */
async function start(options: { one?: ResourceOptions; other?: ResourceOptions }, named: boolean): Promise<void> {
  one.resource("song", { size: SIZE, ...options.one });
  other.resource("song", { size: SIZE, ...options.other });
  const resolver = (up: Upstream): Resolver => {
    const byUrl = createUrlResolver(`${up.origin}/{id}`);
    if (!named) return byUrl;
    const variantFamily = "same";
    return {
      ...byUrl,
      variantFamily,
      resolve: async (...asked) => ({ ...(await byUrl.resolve(...asked)), variant: "1" }),
    };
  };
  const links = [
    { key: "one", resolver: resolver(one) },
    { key: "other", resolver: resolver(other) },
  ];
  rig = await startRig({ sources: [{ key: "music", resolver: createChain(links) }] });
  restart = () => rig.restart({ sources: [{ key: "music", resolver: createChain(links) }] });
}

async function playSome(): Promise<void> {
  await rig.get("song", { readBytes: 100_000 });
  await eventually(() => expect(one.live() + other.live()).toBe(0), { timeoutMs: 10_000 });
}

test("a track that the first place lacks comes from the second, and stays there", async () => {
  await start({}, false);
  one.removeResource("song");
  const got = await rig.get("song");
  assertBytes(got.body, other.bytes("song"));
  expect(one.requests().length).toBe(1);
});

test("bytes of two places never meet, though both give them one tag and one length", async () => {
  const etag = '"1"';
  await start({ one: { etag }, other: { etag, version: 2 } }, false);
  await playSome();
  one.script("song", [{ do: { status: 404 } }]);
  const resumed = await rig.get("song", { headers: { range: "bytes=1000000-" } });
  expect(resumed.status).toBe(410);
  const anew = await rig.get("song");
  expect([anew.status, anew.complete]).toEqual([200, true]);
  assertBytes(anew.body, other.bytes("song"));
});

test("a track that was kept in part of one place goes on there, though another comes first", async () => {
  await start({ other: { version: 2 } }, false);
  one.removeResource("song");
  await playSome();
  one.resource("song", { size: SIZE });
  await restart();
  const got = await rig.get("song");
  assertBytes(got.body, other.bytes("song"));
});

test("places that name the same bytes in the same way go on for each other", async () => {
  await start({}, true);
  await playSome();
  one.script("song", [{ do: { status: 403 } }]);
  const got = await rig.get("song");
  expect(got.complete).toBe(true);
  assertBytes(got.body, one.bytes("song"));
  expect(other.bytesSent("song")).toBeGreaterThan(SIZE / 2);
});

test("a track that no place has is not found, after one request to each", async () => {
  await start({}, false);
  one.removeResource("song");
  other.removeResource("song");
  expect((await rig.get("song")).status).toBe(404);
  expect([one.requests().length, other.requests().length]).toEqual([1, 1]);
});
