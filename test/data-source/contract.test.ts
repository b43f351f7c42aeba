import type { DataSource } from "../../src/data-source/data-source.ts";
import { overlapping } from "../../src/data-source/overlapping.ts";
import { prioritized } from "../../src/data-source/prioritized.ts";
import { rangeFallback } from "../../src/data-source/range-fallback.ts";
import { refreshing } from "../../src/data-source/refreshing.ts";
import { resolving } from "../../src/data-source/resolving.ts";
import { retrying } from "../../src/data-source/retrying.ts";
import { Scheduler } from "../../src/data-source/scheduler.ts";
import { MemoryUriCache } from "../../src/data-source/uri-cache.ts";
import { WindowLimits } from "../../src/data-source/window-limits.ts";
import { windowing } from "../../src/data-source/windowing.ts";
import { systemClock } from "../../src/data-source/clock.ts";
import { validateResolution } from "../../src/resolvers/validate-resolution.ts";
import { describeDataSourceContract } from "../helpers/data-source-contract.ts";
import { startUpstream, type Upstream } from "../helpers/scripted-upstream.ts";
import { hastyClock, realHttp, resolved, specOf } from "./fakes.ts";

const SIZE = 1_400_000;

type Build = (raw: ReturnType<typeof realHttp>["source"], up: Upstream) => DataSource;

const byUrl =
  (wrap: (raw: ReturnType<typeof realHttp>["source"]) => ReturnType<typeof realHttp>["source"]): Build =>
  (raw, up) =>
    resolved(wrap(raw), () => ({ url: up.url("song") }));
const windows: Build = (raw, up) => named(windowing(rangeFallback(raw), { limits: new WindowLimits(systemClock) }), up);
const named: Build = (raw, up) =>
  resolving(raw, {
    resolver: { resolve: async () => up.resolution("song") },
    uriCache: new MemoryUriCache(systemClock),
    clock: systemClock,
    validate: validateResolution,
  });
const random = (): number => 0.5;

const stacks: Readonly<Record<string, Build>> = {
  "http with rangeFallback": byUrl(rangeFallback),
  windowing: byUrl((raw) => windowing(rangeFallback(raw), { limits: new WindowLimits(systemClock) })),
  resolving: windows,
  overlapping: (raw, up) => overlapping(windows(raw, up)),
  refreshing: (raw, up) => refreshing(windows(raw, up)),
  retrying: (raw, up) => retrying(windows(raw, up), { clock: hastyClock, random }),
  prioritized: (raw, up) => prioritized(windows(raw, up), { scheduler: new Scheduler() }),
  "the whole pipeline": (raw, up) =>
    prioritized(retrying(refreshing(overlapping(windows(raw, up))), { clock: hastyClock, random }), {
      scheduler: new Scheduler(),
    }),
};

for (const [name, build] of Object.entries(stacks)) {
  describeDataSourceContract(name, async () => {
    const up = await startUpstream();
    up.resource("song", { size: SIZE });
    const raw = realHttp();
    return {
      source: build(raw.source, up),
      spec: specOf,
      bytes: up.bytes("song"),
      upstream: {
        live: () => up.live("song"),
        hangBeforeHeaders: () => up.script("song", [{ do: { stall: "headers" } }]),
        hangAfter: (stall) => up.script("song", [{ do: { stall } }]),
        fail: () => up.script("song", [{ do: { status: 500 } }]),
      },
      async close() {
        await raw.close();
        await up.close();
      },
    };
  });
}
