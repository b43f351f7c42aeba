import { afterEach, expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { eventually, openFiles } from "../helpers/process.ts";
import { seeded } from "../helpers/random.ts";
import { type Rig, startRig } from "../helpers/rig.ts";
import type { Rule } from "../helpers/scripted-upstream.ts";

const KiB = 1024;
const SIZES = [0, 1, 700, 64 * KiB, 512 * KiB - 1, 512 * KiB, 512 * KiB + 1, 1024 * KiB, 1_700_000, 3_000_001];
const FAULTS: readonly Rule["do"][] = [
  { reset: 40_000 },
  { close: 100_000 },
  { status: 500 },
  { status: 403 },
  { truncate: 30_000 },
  { latency: 30 },
  { pace: 3_000_000 },
  { surplus: 500 },
  { contentRange: { shift: 7 } },
  { contentRange: "missing" },
  { encode: "gzip" },
  { page: "html" },
  {},
  {},
  {},
];

let rig: Rig;
afterEach(() => rig.close());

test.each(process.env.SEEDS?.split(",").map(Number) ?? [1, 2])(
  "any readers on any tracks over a faulty upstream get the truth or a cut, seed %i",
  async (seed) => {
    const random = seeded(seed);
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
    rig = await startRig({ random });
    for (const [n, size] of SIZES.entries()) {
      rig.up.resource(`t${n}`, { size });
      rig.up.script(
        `t${n}`,
        Array.from({ length: 12 }, () => ({ when: () => random() < 0.2, times: 2, do: pick(FAULTS) })),
      );
    }
    let served = 0;
    const client = async (): Promise<void> => {
      for (let step = 0; step < 15; step += 1) {
        const n = Math.floor(random() * SIZES.length);
        const size = SIZES[n] as number;
        const start = Math.floor(random() * size);
        const end = random() < 0.5 ? size : Math.min(size, start + 1 + Math.floor(random() * 300_000));
        const ranged = size > 0 && random() < 0.8;
        const cut = random() < 0.4 ? Math.floor(random() * 200_000) : undefined;
        const got = await rig
          .get(`${pick(["u", "w"])}/t${n}`, {
            headers: ranged ? { range: `bytes=${start}-${end - 1}` } : {},
            ...(cut === undefined ? {} : { readBytes: cut }),
          })
          .catch(() => undefined);
        if (got === undefined || got.status >= 400) continue;
        const from = ranged ? start : 0;
        const to = ranged ? end : size;
        expect(got.body.length).toBeLessThanOrEqual(to - from);
        assertBytes(got.body, rig.up.bytes(`t${n}`, from, from + got.body.length));
        if (got.complete && cut === undefined) expect(got.body.length).toBe(to - from);
        served += 1;
      }
    };
    await Promise.all(Array.from({ length: 6 }, client));
    expect(served).toBeGreaterThan(60);
    await eventually(() => expect(rig.up.live()).toBe(0), { timeoutMs: 5000 });

    // What was kept is the truth as well, and no upstream is needed for it.
    rig.up.script("*", []);
    await rig.restart();
    for (const [n, size] of SIZES.entries()) {
      rig.up.script(`t${n}`, []);
      for (const source of ["u", "w"]) {
        const whole = await rig.get(`${source}/t${n}`);
        expect(whole.status).toBe(200);
        assertBytes(whole.body, rig.up.bytes(`t${n}`, 0, size));
      }
    }
    const dataFiles = (): string[] =>
      (openFiles() ?? []).filter((file) => file.startsWith(rig.cacheDir) && file.endsWith(".data"));
    await eventually(() => expect(dataFiles()).toEqual([]), { timeoutMs: 5000 });
  },
);
