import { once } from "node:events";
import { link, open } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ownerSocketPath } from "../../src/cache/cache-dir.ts";
import { get as httpGet, type IncomingMessage } from "node:http";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";

const MiB = 1024 ** 2;
let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(() => rig.close());

async function control(path: string): Promise<Record<string, unknown>> {
  const outgoing = httpGet({ socketPath: ownerSocketPath(rig.cacheDir), path });
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of response as AsyncIterable<Buffer>) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>;
}

test("a track that was exported as a hard link and edited in place is never served with the edit", async () => {
  rig.up.resource("a", { size: 2 * MiB });
  await rig.get("a");
  const { path } = await eventually(async () => {
    const file = await control("/control/file/u/a");
    expect(file).toMatchObject({ complete: true });
    return file;
  });
  const exported = join(rig.cacheDir, "exported.webm");
  await link(String(path), exported);
  // Once before the edit: its bytes have been checked since the start.
  assertBytes((await rig.get("a")).body, rig.up.bytes("a"));
  const handle = await open(exported, "r+");
  await handle.write(Buffer.from("TAG"), 0, 3, 700_000);
  await handle.close();
  rig.up.reset();
  assertBytes((await rig.get("a")).body, rig.up.bytes("a"));
  expect(rig.up.bytesSent("a")).toBe(512 * 1024);
});

test("a track that is not complete cannot be exported", async () => {
  rig.up.resource("a", { size: 2 * MiB });
  await rig.get("a", { headers: { range: "bytes=0-99" } });
  expect(await control("/control/file/u/a")).toMatchObject({ code: "not-cached" });
});
