import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { request } from "../helpers/http-client.ts";
import { eventually, tmpDir } from "../helpers/process.ts";
import { seeded } from "../helpers/random.ts";
import { type Rule, startUpstream } from "../helpers/scripted-upstream.ts";
import { startServed } from "../helpers/served.ts";

// What the soak runs: LOAD_SLOW=1000 LOAD_FAST=50 LOAD_SECONDS=300 npm test -- test/load
const SLOW = Number(process.env.LOAD_SLOW ?? 100);
const FAST = Number(process.env.LOAD_FAST ?? 5);
const SECONDS = Number(process.env.LOAD_SECONDS ?? 5);
const MiB = 1024 ** 2;
const SLOW_RATE = 20_000;
const TRACKS = 120;
const SIZE = 4 * MiB + 321;
const FAULTS: readonly Rule["do"][] = [
  { reset: 200_000 },
  { close: 100_000 },
  { truncate: 50_000 },
  { surplus: 300 },
  { status: 503 },
  { contentRange: { shift: 7 } },
  { latency: 100 },
];

const mean = (all: readonly number[]): number => all.reduce((sum, one) => sum + one, 0) / Math.max(1, all.length);

test.skipIf(process.platform !== "linux")(
  `${SLOW} readers at 20 KB/s and ${FAST} fast ones for ${SECONDS} s over faults: no error, no wrong byte, memory flat`,
  { timeout: 60_000 + SECONDS * 2000 },
  async () => {
    const random = seeded(Number(process.env.SEED ?? 1));
    const dir = await tmpDir();
    const up = await startUpstream();
    const server = await startServed([
      "--source",
      `u=url:${up.origin}/{id}`,
      "--cache-dir",
      dir.path,
      "--cache-size",
      "300M",
    ]);
    try {
      for (let n = 0; n < TRACKS; n += 1) {
        up.resource(`t${n}`, { size: SIZE });
        // One request in seven meets a fault, so that five in a row, which nobody could hide, are as good as never.
        up.script(
          `t${n}`,
          FAULTS.map((fault) => ({ when: () => random() < 0.02, do: fault })),
        );
      }
      await request({ port: server.port, path: "/stream/t0", headers: { range: "bytes=0-1" } });
      await delay(500);
      const handles = server.handles();
      const until = performance.now() + SECONDS * 1000;
      let requests = 0;
      let bytes = 0;
      const failures: string[] = [];
      const reader = async (rate: number | undefined, longest: number): Promise<void> => {
        // They come one after the other: of a thousand at the same moment, each with a part of its own that is missing, those
        // at the end of the queue would be told after 4 s that it takes too long.
        await delay((random() * SECONDS * 1000) / 15);
        while (performance.now() < until) {
          const id = `t${Math.floor(random() * TRACKS)}`;
          const start = Math.floor(random() * SIZE);
          const end = Math.min(SIZE, start + 1 + Math.floor(random() * longest));
          const headers = { range: `bytes=${start}-${end - 1}` };
          const got = await request({
            port: server.port,
            path: `/stream/${id}`,
            headers,
            ...(rate === undefined ? {} : { rate }),
          }).catch((error: unknown) => String(error));
          requests += 1;
          if (typeof got === "string") failures.push(got);
          else if (got.status !== 206 || !got.complete)
            failures.push(`${id} ${headers.range}: ${got.status} ${got.body.length}`);
          else {
            bytes += got.body.length;
            assertBytes(got.body, up.bytes(id, start, end));
          }
        }
      };
      const resident: number[] = [];
      const sampler = setInterval(() => resident.push(server.rss()), 250);
      await Promise.all([
        ...Array.from({ length: SLOW }, () => reader(SLOW_RATE, SLOW_RATE * Math.min(20, SECONDS / 2))),
        ...Array.from({ length: FAST }, () => reader(undefined, 4 * MiB)),
      ]);
      clearInterval(sampler);
      expect(failures).toEqual([]);
      expect(requests).toBeGreaterThan(SLOW + FAST);

      // Buffers and code settle in the first fifth.
      const settled = resident.slice(Math.floor(resident.length / 5));
      const third = Math.floor(settled.length / 3);
      const thirds = [0, 1, 2].map((part) => mean(settled.slice(part * third, (part + 1) * third)) / MiB);
      const sent = up.bytesSent();
      console.log(
        `load: ${requests} requests, ${Math.round(bytes / MiB)} MiB read, ${Math.round(sent / MiB)} MiB from upstream; ` +
          `resident ${thirds.map(Math.round).join(", ")} MiB; ${handles} handles before`,
      );
      expect(thirds[2]).toBeLessThan((thirds[0] ?? 0) * 1.25 + 16);
      await eventually(() => expect(server.handles()).toBeLessThanOrEqual(handles + 2), {
        timeoutMs: 20_000,
        intervalMs: 200,
      });
      expect(await server.kill("SIGTERM")).toBe(0);
    } finally {
      await server.kill("SIGKILL");
      await up.close();
      await dir.remove();
    }
  },
);
