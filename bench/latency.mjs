// First-byte latencies through the cache against the origin's own, interleaved. `node latency.mjs [ROUNDS]`
import { setTimeout as delay } from "node:timers/promises";
import { fetchBytes, median, start } from "./harness.mjs";

const rounds = Number(process.argv[2] ?? 40);
const size = 4 * 1024 ** 2;
const { originPort, port, stop } = await start([size, 4_400_000, 20]);
const rows = {
  "origin, first byte": [],
  miss: [],
  "seek into the uncached": [],
  "second client at the edge": [],
  "cached range, whole, keep-alive": [],
};
// Warm-up: connections, code.
for (let n = 0; n < 5; n += 1) await fetchBytes(port, `/stream/warm${n}`);

for (let n = 0; n < rounds; n += 1) {
  const path = `/stream/t${n}`;
  rows["origin, first byte"].push((await fetchBytes(originPort, `/t${n}`)).first);
  rows.miss.push((await fetchBytes(port, path, "0-")).first);
  await delay(20);
  rows["seek into the uncached"].push((await fetchBytes(port, path, `${Math.floor(size * 0.6)}-`)).first);
  // One client fetches on; a second begins where the first is.
  const other = `/stream/s${n}`;
  const running = fetchBytes(port, other, "0-299999", true);
  await delay(60);
  rows["second client at the edge"].push((await fetchBytes(port, other, "0-")).first);
  await running;
  await fetchBytes(port, other, "0-99999", true);
  rows["cached range, whole, keep-alive"].push((await fetchBytes(port, other, "1000-66535", true)).total);
}
for (const [name, values] of Object.entries(rows))
  console.log(`${name.padEnd(34)} median ${median(values).toFixed(2)} ms`);
await stop();
