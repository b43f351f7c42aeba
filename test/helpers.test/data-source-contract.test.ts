import { describe, expect, it } from "vitest";
import type { DataSource, Opened } from "../../src/data-source/data-source.ts";
import { checks, upstreamChecks } from "../helpers/contract/data-source-checks.ts";
import { type DataSourceFixture, describeDataSourceContract } from "../helpers/data-source-contract.ts";
import { memoryFixture, upstreamFixture } from "./reference-sources.ts";

describeDataSourceContract("a source in memory", memoryFixture);
describeDataSourceContract("a source over HTTP", () => upstreamFixture());

type Break = (source: DataSource) => DataSource;

/** Changes what `open` gives. */
const opened =
  (change: (opened: Opened) => Partial<Opened>): Break =>
  (source) => ({
    open: async (spec, options) => {
      const inner = await source.open(spec, options);
      const dispose = () => inner[Symbol.asyncDispose]();
      return { ...inner, [Symbol.asyncDispose]: dispose, ...change(inner) };
    },
  });

const body = (change: (chunks: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>) =>
  opened((inner) => ({ body: change(inner.body) }));

const breaks: readonly [fault: string, check: string, Break][] = [
  [
    "one byte too many",
    "yields exactly the bytes from position to end",
    (source) => ({
      open: (spec, options) => source.open({ ...spec, ...(spec.end !== undefined && { end: spec.end + 1 }) }, options),
    }),
  ],
  [
    "an empty chunk",
    "yields exactly the bytes from position to end",
    body(async function* (chunks) {
      yield new Uint8Array(0);
      yield* chunks;
    }),
  ],
  [
    "an error past the end",
    "yields nothing at the end of the resource and past it",
    (source) => ({
      open: (spec, options) =>
        spec.position >= 300_000 ? Promise.reject(new Error("416")) : source.open(spec, options),
    }),
  ],
  [
    "a clean end always",
    "tells the end of the resource by endsCleanly, and only that",
    opened(() => ({ endsCleanly: () => true })),
  ],
  [
    "a clean end never",
    "tells the end of the resource by endsCleanly, and only that",
    opened(() => ({ endsCleanly: () => false })),
  ],
  [
    "disposal once only",
    "can be disposed of at any time, and again",
    opened((inner) => {
      let disposed = 0;
      return {
        [Symbol.asyncDispose]: () =>
          disposed++ > 0 ? Promise.reject(new Error("twice")) : inner[Symbol.asyncDispose](),
      };
    }),
  ],
  [
    "no disposal",
    "opens before a byte of the body has come, and frees an upstream whose body was never pulled",
    opened(() => ({
      [Symbol.asyncDispose]: async () => {},
    })),
  ],
  [
    "a first chunk read in open",
    "opens before a byte of the body has come, and frees an upstream whose body was never pulled",
    (source) => ({
      open: async (spec, options) => {
        const inner = await source.open(spec, options);
        await inner.body[Symbol.asyncIterator]().next();
        return inner;
      },
    }),
  ],
  [
    "deaf to an abort before",
    "does not open when the signal has aborted already",
    (source) => ({
      open: (spec) => source.open(spec, { signal: new AbortController().signal }),
    }),
  ],
  [
    "deaf to an abort while opening",
    "an abort ends a pending open with its reason and frees everything",
    (source) => ({
      open: (spec) => source.open(spec, { signal: new AbortController().signal }),
    }),
  ],
  [
    "another reason",
    "an abort ends a pending open with its reason and frees everything",
    (source) => ({
      open: (spec, options) => source.open(spec, options).catch(() => Promise.reject(new Error("other"))),
    }),
  ],
  [
    "deaf to an abort while reading",
    "an abort ends a pending read with its reason and frees everything",
    (source) => ({
      open: (spec) => source.open(spec, { signal: new AbortController().signal }),
    }),
  ],
  [
    "a quiet end at an abort",
    "an abort between two reads frees everything and ends the next one",
    body(async function* (chunks) {
      try {
        yield* chunks;
      } catch {}
    }),
  ],
  [
    "another error",
    "throws an AfterbayError when the upstream fails, and frees it",
    (source) => ({
      open: (spec, options) => source.open(spec, options).catch(() => Promise.reject(new Error("500"))),
    }),
  ],
];

describe.concurrent("the contract notices", () => {
  it.each(breaks)("%s", async (_fault, check, broken) => {
    const fixture: DataSourceFixture = await upstreamFixture(broken);
    try {
      const { upstream } = fixture;
      const run = async () =>
        checks[check] ? checks[check](fixture) : upstream && upstreamChecks[check]?.(fixture, upstream);
      expect(checks[check] ?? upstreamChecks[check]).toBeDefined();
      await expect(run()).rejects.toThrow();
    } finally {
      await fixture.close();
    }
  });
});
