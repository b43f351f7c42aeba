// An origin of its own process: `node origin.mjs [BYTES] [BYTES_PER_SECOND] [LATENCY_MS]` prints its port. Every path is
// a track of that size with a strong ETag and exact single ranges; unpaced if the rate is 0.
import { createServer } from "node:http";

const [size = 4 * 1024 ** 2, rate = 0, latency = 0] = process.argv.slice(2).map(Number);
const bytes = Buffer.alloc(size);
for (let at = 0; at < size; at += 4) bytes.writeUInt32LE((at * 2654435761) >>> 0, at);
const PIECE = 16 * 1024;

const server = createServer((request, response) => {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
  const start = Number(first ?? 0);
  const end = last ? Math.min(Number(last) + 1, size) : size;
  const send = async () => {
    response.writeHead(first === undefined ? 200 : 206, {
      "content-type": "audio/webm",
      "content-length": end - start,
      "accept-ranges": "bytes",
      etag: '"bench"',
      ...(first === undefined ? {} : { "content-range": `bytes ${start}-${end - 1}/${size}` }),
    });
    if (rate === 0) {
      response.end(bytes.subarray(start, end));
      return;
    }
    const began = performance.now();
    for (let at = start; at < end && !response.destroyed; at += PIECE) {
      response.write(bytes.subarray(at, Math.min(at + PIECE, end)));
      const due = began + ((at + PIECE - start) / rate) * 1000 - performance.now();
      if (due > 0) await new Promise((done) => setTimeout(done, due));
    }
    response.end();
  };
  setTimeout(() => void send(), latency);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
