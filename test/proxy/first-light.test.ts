import { afterEach, beforeEach, expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { type Rig, startRig } from "../helpers/rig.ts";

const MiB = 1024 ** 2;
let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
  rig.up.resource("song", { size: 4 * MiB });
});
afterEach(() => rig.close());

test("a cold track streams through, exactly, and is then served from disk alone, also after a restart", async () => {
  const cold = await rig.get("song");
  expect(cold.status).toBe(200);
  assertBytes(cold.body, rig.up.bytes("song"));
  expect(cold.headers["cache-status"]).toBe("afterbay; fwd=miss; stored");
  expect(rig.up.bytesSent("song")).toBe(4 * MiB);

  rig.up.reset();
  const warm = await rig.get("song");
  assertBytes(warm.body, rig.up.bytes("song"));
  expect(warm.headers["cache-status"]).toBe("afterbay; hit");
  expect(rig.up.bytesSent("song")).toBe(0);

  await rig.restart();
  const again = await rig.get("song", { headers: { range: "bytes=1000000-1999999" } });
  expect(again.status).toBe(206);
  assertBytes(again.body, rig.up.bytes("song", 1_000_000, 2_000_000));
  expect(rig.up.requests("song")).toHaveLength(0);
});
