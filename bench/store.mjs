// What storing and reading chunks costs on this disk, median of each, from the built program. `node store.mjs`
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileChunkStore } from "../dist/cache/file-store.js";

const KiB = 1024;
const CHUNK = 512 * KiB;
const CHUNKS = 200;
const name = { source: "bench", id: "song", variant: "1" };
const content = randomBytes(CHUNK);
const root = await mkdtemp(join(tmpdir(), "afterbay-bench-"));

/** Runs `act` for each of `over`, and prints the median in microseconds. */
async function measure(what, over, act) {
  const times = [];
  for (const one of over) {
    const began = performance.now();
    await act(one);
    times.push((performance.now() - began) * 1000);
  }
  times.sort((a, b) => a - b);
  console.log(`${what.padEnd(44)} ${times[times.length >> 1].toFixed(0).padStart(6)} us  (${times.length} times)`);
}

const chunks = Array.from({ length: CHUNKS }, (_, index) => index);
const pieces = chunks.flatMap((index) => Array.from({ length: 8 }, (_, n) => [index, n * 64 * KiB]));
const files = new FileChunkStore(root);
const fresh = async () => {
  await stored.release();
  stored = await files.open(name);
};
let stored = await files.open(name);
try {
  await measure("writeChunk 64 KiB", pieces, ([index, from]) =>
    stored.writeChunk(index, from, content.subarray(from, from + 64 * KiB)),
  );
  await measure("readChunk 64 KiB, checked before", pieces, ([index, from]) =>
    stored.readChunk(index, from, from + 64 * KiB),
  );
  await measure("readChunk 512 KiB, checked before", chunks, (index) => stored.readChunk(index, 0, CHUNK));
  const into = Buffer.allocUnsafeSlow(CHUNK);
  await measure("readChunk 512 KiB, into a given buffer", chunks, (index) => stored.readChunk(index, 0, CHUNK, into));
  await fresh();
  await measure("readChunk 512 KiB, checked now", chunks, (index) => stored.readChunk(index, 0, CHUNK));
  await fresh();
  await measure("readChunk 64 KiB, checked now (its chunk)", chunks, (index) => stored.readChunk(index, 0, 64 * KiB));
  await measure(`open, ${CHUNKS} chunks`, chunks, () => files.open(name));
} finally {
  await stored.release();
  await rm(root, { recursive: true });
}
