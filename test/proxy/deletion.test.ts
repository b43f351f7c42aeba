import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FileChunkStore } from "../../src/cache/file-store.ts";
import { TrackIndex } from "../../src/cache/track-index.ts";
import { stemOf } from "../../src/cache/variant-paths.ts";
import { request } from "../helpers/http-client.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";

const MiB = 1024 ** 2;

let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
  rig.up.resource("song", { size: 3 * MiB });
});
afterEach(() => rig.close());

const remove = () => request({ port: rig.port, method: "DELETE", path: "/api/tracks/u/song" });
const root = (): string => join(rig.cacheDir, "v1");
const files = async (): Promise<string[]> =>
  (await readdir(join(root(), "tracks"), { recursive: true })).filter((name) => /\.(data|map)$/.test(name));
const listed = async (): Promise<unknown[]> => ((await rig.json("/api/tracks")) as { tracks: unknown[] }).tracks;

test("a track that was deleted while it was playing is gone when the server stops", async () => {
  await rig.get("song");
  const playing = rig.get("song", { rate: 200_000 }).catch(() => undefined);
  await eventually(() => expect(rig.up.live()).toBe(0));
  expect((await remove()).status).toBeLessThan(300);
  expect(await files()).not.toEqual([]);
  await rig.restart();
  await playing;
  expect(await files()).toEqual([]);
  expect(await listed()).toEqual([]);
});

test("a deletion is told, and nobody fetches the track again", async () => {
  const changes: string[] = [];
  rig.proxy.on("track", ({ change }) => changes.push(change));
  const wish = JSON.stringify({ ids: ["u/song"], mode: "full" });
  await request({ port: rig.port, method: "PUT", path: "/api/prefetch?list=next", requestBody: wish });
  await eventually(() => expect(changes).toContain("complete"));
  expect((await remove()).status).toBeLessThan(300);
  expect(changes).toContain("lost");
  expect(await rig.json("/api/prefetch")).toMatchObject({ tracks: [] });
  const sent = rig.up.bytesSent();
  await rig.get("song?offline=1");
  await rig.json("/api/tracks");
  expect(rig.up.bytesSent()).toBe(sent);
  expect(await listed()).toEqual([]);
});

test("a track that was deleted while it was playing is gone after a kill as well", async () => {
  await rig.get("song");
  await rig.proxy.close();
  // What a process leaves that was killed between the deletion and the end of the playback.
  const index = new TrackIndex(join(root(), "index.log"), () => {});
  await index.load();
  const [found] = index.ofTrack({ source: "u", id: "song" });
  if (found === undefined) throw new Error("The song is not in the index");
  const [stem, entry] = found;
  expect(stem).toBe(stemOf(entry));
  index.put(stem, { ...entry, qualities: [], open: true, doomed: true });
  await index.flush();
  expect((await new FileChunkStore(root()).open(entry)).bytes).toBe(3 * MiB);
  await rig.restart();
  expect(await listed()).toEqual([]);
  expect(await files()).toEqual([]);
  expect((await rig.get("song?offline=1")).status).toBe(504);
  expect((await rig.get("song")).body.length).toBe(3 * MiB);
});
