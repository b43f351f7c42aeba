import { createServer, type RequestListener, type Server } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Relay, startRelay } from "../../../src/cli/player/relay.ts";
import { request, type RawResponse } from "../../helpers/http-client.ts";
import { eventually, tmpDir, type TmpDir } from "../../helpers/process.ts";

let dir: TmpDir;
let relay: Relay;
let owner: Server | undefined;
let target: { socketPath: string; isPassing: boolean; renewed: number; renew(): Promise<void> };
beforeEach(async () => {
  dir = await tmpDir();
  target = {
    socketPath: join(dir.path, "owner"),
    isPassing: false,
    renewed: 0,
    async renew() {
      target.renewed += 1;
      target.socketPath = join(dir.path, `owner-${target.renewed}`);
      await own((_, response) => response.end("another"));
    },
  };
  relay = await startRelay(target);
});
afterEach(async () => {
  await relay.close();
  owner?.closeAllConnections();
  owner?.close();
  await dir.remove();
});

async function own(listener: RequestListener): Promise<void> {
  owner?.close();
  owner = createServer(listener);
  await new Promise<void>((resolve) => owner?.listen(target.socketPath, resolve));
}

const ask = (path: string, options: object = {}): Promise<RawResponse> =>
  request({ port: Number(new URL(relay.url).port), path, ...options });
const textOf = ({ body }: RawResponse): string => Buffer.from(body).toString();

test("hands on what comes with its token, and the token not", async () => {
  await own((incoming, response) => {
    const { url, method, headers } = incoming;
    response.writeHead(206, { "content-type": "audio/flac", "x-seen": `${method} ${url} ${headers.range}` });
    incoming.pipe(response);
  });
  const played = await ask(`/stream/s/a%2Fb?token=${relay.token}&play=x-1`, { headers: { range: "bytes=5-" } });
  expect([played.status, played.headers["content-type"]]).toEqual([206, "audio/flac"]);
  expect(played.headers["x-seen"]).toBe("GET /stream/s/a%2Fb?play=x-1 bytes=5-");
  const headers = { authorization: `Bearer ${relay.token}` };
  const put = await ask("/api/prefetch?list=x", { method: "PUT", requestBody: "{}", headers });
  expect([put.headers["x-seen"], textOf(put)]).toEqual(["PUT /api/prefetch?list=x undefined", "{}"]);
});

test("lets nobody in without it, and nobody to what the owner does for commands alone", async () => {
  await own((_, response) => response.end("in"));
  const token = `token=${relay.token}`;
  const refused = ["/stream/a", "/stream/a?token=", `/stream/a?${token}x`, `/control/about?${token}`, `/?${token}`];
  for (const path of refused) expect([path, (await ask(path)).status]).toEqual([path, 403]);
  expect((await ask(`/stream/a?${token}`)).status).toBe(200);
});

test("says 503 while nobody is there, and finds who takes the place of one that ends", async () => {
  const path = `/stream/a?token=${relay.token}`;
  expect((await ask(path)).status).toBe(503);
  target.isPassing = true;
  expect(textOf(await ask(path))).toBe("another");
  expect(target.renewed).toBe(1);
});

test("what breaks off breaks off, and whoever leaves is not read for", async () => {
  let closed = false;
  await own((incoming, response) => {
    response.writeHead(200, { "content-length": "1000" });
    response.write("begun");
    if (incoming.url === "/stream/cut") setTimeout(() => response.destroy(), 20);
    response.on("close", () => (closed = true));
  });
  const got = await ask(`/stream/cut?token=${relay.token}`);
  expect([textOf(got), got.complete]).toEqual(["begun", false]);
  closed = false;
  await ask(`/stream/left?token=${relay.token}`, { readBytes: 1 });
  await eventually(() => expect(closed).toBe(true));
});
