import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { createProxy, type Proxy } from "../../src/proxy.ts";
import { openSource } from "../../src/resolvers/index.ts";
import { validateResolution } from "../../src/resolvers/validate-resolution.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { request } from "../helpers/http-client.ts";
import { tmpDir } from "../helpers/process.ts";
import { bytesOf } from "../helpers/scripted-upstream.ts";

let proxy: Proxy;
afterEach(() => proxy.close());

test("a folder's files are served with ranges from where they are, count as complete, and take no space", async () => {
  const dir = await tmpDir();
  const music = join(dir.path, "music");
  await mkdir(music);
  const bytes = bytesOf(1, "file", 1, 0, 300_000);
  await writeFile(join(music, "One.mp3"), bytes);
  const quiet = (): void => {};
  proxy = await createProxy({
    sources: [await openSource(`files=folder:${music}`)],
    cacheDir: join(dir.path, "cache"),
    cacheSize: 1024 ** 2,
    validate: validateResolution,
    version: "0.0.0",
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  });
  const { url } = await proxy.listen();
  const port = Number(new URL(url).port);
  const listing = await request({ port, path: "/api/tracks" });
  const { tracks } = JSON.parse(Buffer.from(listing.body).toString()) as { tracks: { id: string }[] };
  expect(tracks).toMatchObject([{ source: "files", title: "One", size: 300_000, complete: true, cachedBytes: 0 }]);
  const path = `/stream/files/${tracks[0]?.id}`;
  const whole = await request({ port, path });
  expect(whole.headers).toMatchObject({ "content-type": "audio/mpeg", "cache-status": "afterbay; hit" });
  assertBytes(whole.body, bytes);
  const part = await request({ port, path: `${path}?offline=1`, headers: { range: "bytes=-1000" } });
  expect([part.status, part.headers["content-range"]]).toEqual([206, "bytes 299000-299999/300000"]);
  assertBytes(part.body, bytes.subarray(299_000));
  const same = await request({ port, path, headers: { "if-none-match": whole.headers.etag ?? "" } });
  expect(same.status).toBe(304);
  expect((await request({ port, path: "/stream/files/%2e%2e" })).status).toBe(404);
  await dir.remove();
});
