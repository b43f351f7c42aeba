import { expect, test } from "vitest";
import type { ChunkStore, StoredVariant } from "../../src/cache/chunk-store.ts";
import type { DataSource } from "../../src/data-source/data-source.ts";
import { withBody } from "../../src/data-source/opened.ts";
import type { Scheduler } from "../../src/data-source/scheduler.ts";
import { noticed } from "./check.ts";

/** `it` with some of its methods replaced. */
function changed<T extends object>(it: T, changes: Partial<T>): T {
  return new Proxy(it, {
    get(target, name) {
      const value: unknown = Reflect.get(name in changes ? changes : target, name);
      return typeof value === "function" && !(name in changes) ? (value.bind(target) as unknown) : value;
    },
  });
}

function storing(change: (stored: StoredVariant) => Partial<StoredVariant>): (store: ChunkStore) => ChunkStore {
  return (store) =>
    changed(store, {
      async open(name) {
        const stored = await store.open(name);
        return changed(stored, change(stored));
      },
    });
}

test("a byte that is skipped between two answers of the upstream is noticed", async () => {
  const skipping = (source: DataSource): DataSource => ({
    ...source,
    async open(spec, options) {
      const opened = await source.open(spec, options);
      async function* body(): AsyncGenerator<Uint8Array> {
        let count = 0;
        for await (const chunk of opened.body) yield (count += 1) === 2 ? chunk.subarray(1) : chunk;
      }
      return withBody(opened, { body: body(), dispose: () => opened[Symbol.asyncDispose]() });
    },
  });
  expect(await noticed({ source: skipping }, 100)).toContain("are of no version");
});

test("bytes of another version, in the place of a refusal, are noticed", async () => {
  const trusting = (source: DataSource): DataSource => ({
    ...source,
    open({ expect: _expect, overlap: _overlap, ...spec }, options) {
      return source.open(spec, options);
    },
  });
  expect(await noticed({ source: trusting }, 400)).toMatch(/of no version|nothing has changed|the size were/);
});

test("a store that changes a byte on its way is noticed", async () => {
  const store = storing((stored) => ({
    writeChunk(index, from, bytes) {
      const bad = Uint8Array.from(bytes);
      bad[0] = (bad[0] ?? 0) ^ 1;
      return stored.writeChunk(index, from, bad);
    },
  }));
  expect(await noticed({ store }, 20)).toContain("of no version");
});

test("a store that loses what it was given is noticed", async () => {
  let count = 0;
  const store = storing((stored) => ({
    async writeChunk(index, from, bytes) {
      count += 1;
      if (count % 5 > 0) await stored.writeChunk(index, from, bytes);
    },
  }));
  expect(await noticed({ store }, 50)).toMatch(/not offline|were missing|would have done|ended, and yet/);
});

test("handles that stay open are noticed", async () => {
  const store = storing(() => ({ async close() {}, async release() {} }));
  expect(await noticed({ store }, 20)).toContain("file handles");
});

test("more requests at once than an upstream should see are noticed", async () => {
  const scheduler = (it: Scheduler): Scheduler =>
    changed(it, {
      async acquire() {
        return () => {};
      },
    });
  expect(await noticed({ scheduler }, 200)).toContain("requests at once");
});
