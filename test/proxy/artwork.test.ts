import { randomBytes } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import type { Resolution } from "../../src/data-source/resolution.ts";
import { openSource } from "../../src/resolvers/index.ts";
import { type RawRequest, type RawResponse, request } from "../helpers/http-client.ts";
import { eventually, tmpDir } from "../helpers/process.ts";
import { type Rig, type RigOptions, startRig } from "../helpers/rig.ts";
import { type ResourceOptions, startUpstream } from "../helpers/scripted-upstream.ts";

const KiB = 1024;
const SECRET = "SECRET-SIGNATURE";
const PNG = Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), randomBytes(40 * KiB)]);
let rig: Rig;
afterEach(() => rig.close());

async function start(more: Partial<Resolution> = {}, options: RigOptions = {}): Promise<void> {
  rig = await startRig({
    resolve: (id): Resolution => ({
      ...rig.up.resolution(id),
      title: `Title of ${id}`,
      artist: "An artist",
      album: "An album",
      durationMs: 1000,
      loudnessDb: -7.2,
      artwork: `${rig.up.origin}/cover?key=${SECRET}`,
      ...more,
    }),
    ...options,
  });
  rig.up.resource("song", { size: 300 * KiB });
  rig.up.resource("cover", { content: PNG, contentType: "image/png" });
}

const cover = (query = "", more: Partial<RawRequest> = {}): Promise<RawResponse> =>
  request({ port: rig.port, path: `/api/tracks/w/song/artwork${query}`, ...more });
const text = ({ body }: RawResponse): string => Buffer.from(body).toString();
const track = (): Promise<object> => rig.json("/api/tracks/w/song");
const covers = (): number => rig.up.requests("cover").length;

/** A part of a song, so that nothing is done of itself. */
async function playSome(): Promise<void> {
  rig.up.resource("song", { size: 4 * 1024 * KiB });
  await rig.get("w/song", { readBytes: 1000 });
  await rig.up.waitIdle();
}

test("an offline track still has its name and its cover, which nobody asked for before", async () => {
  await start();
  await rig.get("w/song");
  await eventually(async () => expect((await cover("?offline=1")).status).toBe(200), { timeoutMs: 10_000 });
  rig.up.removeResource("cover");
  rig.up.removeResource("song");
  await rig.restart({ resolve: () => Promise.reject(new Error("gone")) } as never);
  expect(await track()).toMatchObject({
    title: "Title of song",
    artist: "An artist",
    album: "An album",
    durationMs: 1000,
    loudnessDb: -7.2,
    artwork: "/api/tracks/w/song/artwork",
    complete: true,
  });
  const got = await cover();
  expect(Buffer.from(got.body).equals(PNG)).toBe(true);
  expect(got.headers).toMatchObject({
    "content-type": "image/png",
    "content-length": String(PNG.length),
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
  });
  expect(covers()).toBe(1);
  const shown = [await rig.json("/api/tracks"), await rig.json("/api/sessions"), rig.log];
  expect(JSON.stringify(shown)).not.toContain(SECRET);
  expect(await readFile(join(rig.cacheDir, "v1", "index.log"), "utf8")).not.toContain(SECRET);
  await request({ port: rig.port, method: "DELETE", path: "/api/tracks/w/song" });
  expect((await cover()).status).toBe(404);
  const files = await readdir(rig.cacheDir, { recursive: true });
  expect(files.filter((name) => name.endsWith(".art"))).toEqual([]);
});

test("a cover is fetched once for all who ask, kept with what is there of the track, and not sent twice", async () => {
  await start();
  expect((await cover()).status).toBe(404);
  await playSome();
  // A cover is kept with bytes that are stored.
  await eventually(async () => expect(((await track()) as { cachedBytes: number }).cachedBytes).toBeGreaterThan(0));
  expect(covers()).toBe(0);
  const offline = await cover("?offline=1");
  expect([offline.status, text(offline)]).toEqual([504, expect.stringContaining("not-cached")]);
  const [one, two] = await Promise.all([cover(), cover()]);
  expect([one.status, two.status, covers()]).toEqual([200, 200, 1]);
  expect(Buffer.from(one.body).equals(PNG)).toBe(true);
  const etag = String(one.headers["etag"]);
  expect((await cover("", { headers: { "if-none-match": etag } })).status).toBe(304);
  const head = await cover("", { method: "HEAD" });
  expect([head.status, head.headers["content-length"], head.body.length]).toEqual([200, String(PNG.length), 0]);
  expect(covers()).toBe(1);
  expect(rig.up.requests("cover")[0]?.headers).not.toHaveProperty("cookie");
});

const HOSTILE: readonly (readonly [string, ResourceOptions])[] = [
  ["a page", { content: "<html>", contentType: "image/png" }],
  ["a drawing", { content: '<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', contentType: "image/svg+xml" }],
  ["a GIF", { content: "GIF89a", contentType: "image/gif" }],
  ["nothing", { content: "" }],
  ["too much", { content: Buffer.concat([PNG, Buffer.alloc(2 * 1024 * KiB)]) }],
  ["too much of unknown length", { content: Buffer.concat([PNG, Buffer.alloc(2 * 1024 * KiB)]), unknownLength: true }],
];

test("what is no picture, or too large, is none, and not asked for again", async () => {
  for (const [what, resource] of HOSTILE) {
    await start();
    rig.up.resource("cover", resource);
    await playSome();
    for (const _ of [1, 2]) expect((await cover()).status, what).toBe(404);
    expect(covers(), what).toBe(1);
    await rig.close();
  }
  await start();
  rig.up.script("cover", [{ do: { encode: "gzip" } }]);
  await playSome();
  expect((await cover()).status).toBe(404);
});

test("a cover that fails is told of as such, and the song plays on", async () => {
  await start();
  rig.up.script("cover", [{ do: { status: 500 } }]);
  expect((await rig.get("w/song")).complete).toBe(true);
  const failed = await cover();
  expect([failed.status, text(failed)]).toEqual([502, expect.stringContaining("upstream-failed")]);
  expect(text(failed)).not.toContain(SECRET);
});

test("neither an address nor a redirect leads where bytes may not come from", async () => {
  const inside = await startUpstream();
  inside.resource("cover", { content: PNG });
  for (const how of ["direct", "redirect", "loop", "file"]) {
    const artwork = { direct: `${inside.origin}/cover`, file: "file:///etc/passwd" }[how];
    await start({ ...(artwork !== undefined && { artwork }) });
    if (how === "redirect") rig.up.script("cover", [{ do: { redirect: { to: `${inside.origin}/cover` } } }]);
    if (how === "loop") rig.up.script("cover", [{ do: { redirect: { loop: true } } }]);
    await playSome();
    expect((await cover()).status, how).toBe(404);
    await rig.close();
  }
  expect(inside.connections.total).toBe(0);
  await inside.close();
  await start();
});

test("music comes first", async () => {
  await start();
  rig.up.resource("other", { size: 30_000 * KiB });
  await rig.get("w/song", { readBytes: 250 * KiB });
  rig.up.script("other", [{ do: { pace: 300_000 } }]);
  const left = new AbortController();
  const playing = rig.get("w/other", { signal: left.signal }).catch(() => {});
  await eventually(() => expect(rig.up.bytesSent("other")).toBeGreaterThan(0), { timeoutMs: 10_000 });
  // Whole now, while another one plays.
  await rig.get("w/song");
  await delay(200);
  expect([rig.up.live() > 0, covers()]).toEqual([true, 0]);
  // Who looks at it waits a second at most.
  expect((await cover()).status).toBe(200);
  left.abort(new Error("left"));
  await playing;
});

test("pages of other sites do not see it; playlists name it", async () => {
  await start();
  await rig.get("w/song");
  expect((await cover("", { headers: { "sec-fetch-site": "cross-site" } })).status).toBe(403);
  const playlist = await request({ port: rig.port, path: "/playlist.m3u8" });
  const origin = `http://127.0.0.1:${rig.port}`;
  expect(text(playlist).split("\n")).toEqual([
    "#EXTM3U",
    "#EXTALB:An album",
    `#EXTALBUMARTURL:${origin}/api/tracks/w/song/artwork`,
    "#EXTINF:1,An artist - Title of song",
    `${origin}/stream/w/song`,
    "",
  ]);
});

test("what a source says later is learnt, and what it says at length is cut", async () => {
  let title = "x".repeat(900);
  await start(
    {},
    { resolve: (id) => ({ ...rig.up.resolution(id), title, artwork: `http://x.example/${title}${title}` }) },
  );
  rig.up.resource("song", { size: 3000 * KiB });
  await playSome();
  expect(await track()).toMatchObject({ title: "x".repeat(300) });
  expect(await track()).not.toHaveProperty("artwork");
  title = "Better";
  await rig.restart();
  await rig.get("w/song");
  expect(await track()).toMatchObject({ title, artwork: "/api/tracks/w/song/artwork" });
});

test("a local file has the cover that lies beside it", async () => {
  const dir = await tmpDir();
  await writeFile(join(dir.path, "song.mp3"), Buffer.alloc(1000));
  await writeFile(join(dir.path, "cover.png"), PNG);
  const source = await openSource(`files=folder:${dir.path}`);
  rig = await startRig({ sources: [source] });
  const { tracks } = (await rig.json("/api/tracks")) as { tracks: { key: string }[] };
  const got = await request({ port: rig.port, path: `/api/tracks/${tracks[0]?.key}/artwork` });
  expect([got.headers["content-type"], Buffer.from(got.body).equals(PNG)]).toEqual(["image/png", true]);
  await dir.remove();
});
