import assert from "node:assert/strict";
import type { Opened } from "../../../src/data-source/data-source.ts";
import { AfterbayError } from "../../../src/errors.ts";
import { assertBytes } from "../assert-bytes.ts";
import { eventually } from "../process.ts";
import type { DataSourceFixture, UpstreamControl, Wanted } from "./data-source-fixture.ts";

export type Check = (fixture: DataSourceFixture) => Promise<void>;
export type UpstreamCheck = (fixture: DataSourceFixture, upstream: UpstreamControl) => Promise<void>;

/** How soon "at once" and "promptly" are. */
const PROMPT_MS = 1000;

/** The checks that every implementation passes. */
export const checks: Readonly<Record<string, Check>> = {
  async "yields exactly the bytes from position to end"(fixture) {
    const size = fixture.bytes.length;
    const mid = Math.floor(size / 2) + 1;
    const wanted: Wanted[] = [
      { position: 0 },
      { position: 0, end: 1 },
      { position: 0, end: size },
      { position: 1, end: 3 },
      { position: mid },
      { position: mid, end: mid + 1 },
      { position: mid - 70_001, end: mid },
      { position: size - 1 },
      { position: size - 1, end: size },
      { position: size - 10, end: size + 1000 },
    ];
    for (const each of wanted) await assertYields(fixture, each);
  },

  async "yields nothing at the end of the resource and past it"(fixture) {
    const size = fixture.bytes.length;
    for (const wanted of [{ position: size }, { position: size, end: size + 10 }, { position: size + 10 }]) {
      const opened = await open(fixture, wanted);
      const body = await readAll(opened);
      assert.equal(body.length, 0, `${JSON.stringify(wanted)} yields ${body.length} bytes`);
      await opened[Symbol.asyncDispose]();
    }
  },

  async "tells the end of the resource by endsCleanly, and only that"(fixture) {
    const whole = await open(fixture, { position: 0 });
    assert.equal(whole.endsCleanly(), false, "before the body was read");
    await readAll(whole);
    assert.equal(whole.endsCleanly(), true, "after the last byte");
    await whole[Symbol.asyncDispose]();
    const left = await open(fixture, { position: 0 });
    await readSome(left);
    assert.equal(left.endsCleanly(), false, "after a part of the body");
    await left[Symbol.asyncDispose]();
  },

  async "serves two at once, each its own bytes"(fixture) {
    const mid = Math.floor(fixture.bytes.length / 2);
    await Promise.all([assertYields(fixture, { position: 0 }), assertYields(fixture, { position: mid })]);
  },

  async "can be disposed of at any time, and again"(fixture) {
    const prepare: ((opened: Opened) => Promise<unknown>)[] = [async () => {}, readSome, readAll];
    for (const before of prepare) {
      const opened = await open(fixture, { position: 0 });
      await before(opened);
      await opened[Symbol.asyncDispose]();
      await opened[Symbol.asyncDispose]();
      await assertFreed(fixture);
    }
  },

  async "does not open when the signal has aborted already"(fixture) {
    const reason = new Error("aborted before");
    await assertRejects(
      fixture.source.open(fixture.spec({ position: 0 }), { signal: AbortSignal.abort(reason) }),
      reason,
    );
    await assertFreed(fixture);
  },

  async "an abort between two reads frees everything and ends the next one"(fixture) {
    const abort = new AbortController();
    const opened = await open(fixture, { position: 0 }, abort.signal);
    const body = opened.body[Symbol.asyncIterator]();
    const first = await body.next();
    assert.ok(!first.done && first.value.length < fixture.bytes.length, "the first read yields everything");
    const reason = new Error("aborted between");
    abort.abort(reason);
    await assertFreed(fixture);
    await assertRejects(body.next(), reason);
    await opened[Symbol.asyncDispose]();
  },

  async "an abort after the end, or after disposal, changes nothing"(fixture) {
    for (const before of [readAll, (opened: Opened) => opened[Symbol.asyncDispose]()]) {
      const abort = new AbortController();
      const opened = await open(fixture, { position: 0 }, abort.signal);
      await before(opened);
      abort.abort(new Error("aborted after"));
      await opened[Symbol.asyncDispose]();
      await assertFreed(fixture);
    }
  },
};

/** Those that need an upstream that misbehaves. */
export const upstreamChecks: Readonly<Record<string, UpstreamCheck>> = {
  async "opens before a byte of the body has come, and frees an upstream whose body was never pulled"(
    fixture,
    upstream,
  ) {
    upstream.hangAfter(0);
    const opened = await open(fixture, { position: 0 });
    assert.ok(opened.size === undefined || opened.size === fixture.bytes.length, `size ${opened.size}`);
    await opened[Symbol.asyncDispose]();
    await assertFreed(fixture);
  },

  async "has freed the upstream when the body is exhausted, before disposal"(fixture) {
    const opened = await open(fixture, { position: 0 });
    await readAll(opened);
    await assertFreed(fixture);
    await opened[Symbol.asyncDispose]();
  },

  async "frees the upstream of a body that is left early"(fixture, upstream) {
    upstream.hangAfter(100_000);
    const opened = await open(fixture, { position: 0 });
    await readSome(opened);
    await opened[Symbol.asyncDispose]();
    await assertFreed(fixture);
  },

  async "throws an AfterbayError when the upstream fails, and frees it"(fixture, upstream) {
    upstream.fail();
    await assert.rejects(
      async () => {
        const opened = await open(fixture, { position: 0 });
        try {
          await readAll(opened);
        } finally {
          await assertFreed(fixture);
          await opened[Symbol.asyncDispose]();
        }
      },
      (error) => error instanceof AfterbayError,
    );
    await assertFreed(fixture);
  },

  async "an abort ends a pending open with its reason and frees everything"(fixture, upstream) {
    upstream.hangBeforeHeaders();
    const abort = new AbortController();
    const opening = fixture.source.open(fixture.spec({ position: 0 }), { signal: abort.signal });
    opening.catch(() => {});
    await eventually(() => assert.equal(upstream.live(), 1, "the upstream was not asked"));
    const reason = new Error("aborted while opening");
    abort.abort(reason);
    await assertRejects(opening, reason);
    await assertFreed(fixture);
  },

  async "an abort ends a pending read with its reason and frees everything"(fixture, upstream) {
    upstream.hangAfter(100_000);
    const abort = new AbortController();
    const opened = await open(fixture, { position: 0 }, abort.signal);
    const body = opened.body[Symbol.asyncIterator]();
    let received = 0;
    let pending = body.next();
    for (let read = await settledWithin(pending, 100); read; read = await settledWithin(pending, 100)) {
      assert.ok(!read.done, "the body ended");
      assertBytes(read.value, fixture.bytes.subarray(received, received + read.value.length));
      received += read.value.length;
      pending = body.next();
    }
    assert.ok(received > 0 && received <= 100_000, `${received} bytes received before the hang`);
    const reason = new Error("aborted while reading");
    abort.abort(reason);
    await assertRejects(pending, reason);
    await assertFreed(fixture);
    await opened[Symbol.asyncDispose]();
  },
};

function open(fixture: DataSourceFixture, wanted: Wanted, signal = new AbortController().signal): Promise<Opened> {
  return within(fixture.source.open(fixture.spec(wanted), { signal }), "open");
}

async function assertYields(fixture: DataSourceFixture, wanted: Wanted): Promise<void> {
  const opened = await open(fixture, wanted);
  assert.equal(opened.start, opened.ranged ? wanted.position : 0, "start");
  assert.ok(opened.size === undefined || opened.size === fixture.bytes.length, `size ${opened.size}`);
  assertBytes(await readAll(opened), fixture.bytes.subarray(opened.start, wanted.end));
  await opened[Symbol.asyncDispose]();
}

async function readAll(opened: Opened): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const read = async () => {
    for await (const chunk of opened.body) {
      assert.ok(chunk.length > 0, "an empty chunk");
      // A copy: whether a chunk may be used again by its maker is not for this check to say.
      chunks.push(chunk.slice());
    }
  };
  await within(read(), "the body");
  return Buffer.concat(chunks);
}

/** One chunk, by a loop that is left early. */
async function readSome(opened: Opened): Promise<void> {
  const read = async () => {
    for await (const chunk of opened.body) if (chunk.length > 0) return;
  };
  await within(read(), "the first chunk");
}

async function assertRejects(promise: Promise<unknown>, reason: Error): Promise<void> {
  await assert.rejects(within(promise, "the rejection"), (error) => {
    assert.equal(error, reason, "rejected with something else than the signal's reason");
    return true;
  });
}

async function assertFreed({ upstream }: DataSourceFixture): Promise<void> {
  const assertion = () => assert.equal(upstream?.live() ?? 0, 0, `${upstream?.live()} upstream requests live`);
  await eventually(assertion, { timeoutMs: PROMPT_MS });
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  const settled = await settledWithin(
    promise.then((value) => ({ value })),
    PROMPT_MS,
  );
  assert.ok(settled, `${what}: nothing for ${PROMPT_MS} ms`);
  return settled.value;
}

/** Undefined if it takes longer. */
async function settledWithin<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
