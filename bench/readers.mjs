// Resident memory with many slow readers. `node readers.mjs [READERS] [BYTES_PER_SECOND] [SECONDS] [TRACKS]`
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { start } from "./harness.mjs";

const [readers = 500, rate = 20_000, seconds = 15, tracks = 1] = process.argv.slice(2).map(Number);
const { port, pid, stop } = await start([16 * 1024 ** 2, 0, 0]);
const resident = async () => Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))[1]) / 1024;
console.log(`before: ${(await resident()).toFixed(0)} MiB`);
const sockets = Array.from({ length: readers }, (_, n) => {
  const socket = connect({ port, host: "127.0.0.1", readableHighWaterMark: 4096 });
  socket.write(`GET /stream/t${n % tracks} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  let credit = 0;
  socket.on("data", (bytes) => {
    credit += bytes.length;
    socket.pause();
    setTimeout(() => socket.resume(), (bytes.length / rate) * 1000);
  });
  socket.on("error", () => {});
  return socket;
});
let peak = 0;
for (let second = 0; second < seconds; second += 1) {
  await delay(1000);
  peak = Math.max(peak, await resident());
}
console.log(
  `${readers} readers at ${rate} B/s on ${tracks} track(s): now ${(await resident()).toFixed(0)} MiB, peak ${peak.toFixed(0)} MiB`,
);
for (const socket of sockets) socket.destroy();
await delay(500);
console.log(`after: ${(await resident()).toFixed(0)} MiB`);
await stop();
