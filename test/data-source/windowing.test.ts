import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import {
  type Admission,
  CHUNK_SIZE,
  KiB,
  MiB,
  type ResolvedSpec,
  type Window,
} from "../../src/data-source/data-source.ts";
import type { Resolution } from "../../src/data-source/resolution.ts";
import { WINDOW_FLOOR, WindowLimits } from "../../src/data-source/window-limits.ts";
import { windowing } from "../../src/data-source/windowing.ts";
import { AfterbayError } from "../../src/errors.ts";
import { bytesOf } from "../helpers/scripted-upstream.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { answer, fakeSource, ManualClock, memoryUpstream, never, readAll, resolvedSpec, settle } from "./fakes.ts";

const SIZE = 40 * MiB;
const bytes = bytesOf(1, "song", 1, 0, SIZE);
const refused = (status = 403): AfterbayError => new AfterbayError("url-refused", "No", { status });
let clock: ManualClock;
let limits: WindowLimits;
beforeEach(() => {
  clock = new ManualClock();
  limits = new WindowLimits(clock);
});

const windowsOf = (source: { asked: ResolvedSpec[] }): [number, number][] =>
  source.asked.map(({ position, end }) => [position, end ?? Number.POSITIVE_INFINITY]);
const lengthsOf = (source: { asked: ResolvedSpec[] }): number[] =>
  source.asked.map(({ position, end }) => ((end ?? Number.POSITIVE_INFINITY) - position) / KiB);
const read = async (
  source: ReturnType<typeof memoryUpstream>,
  wanted: Partial<ResolvedSpec> = {},
  maxWindow?: number,
) => {
  const layer = windowing(source, { limits, ...(maxWindow === undefined ? {} : { maxWindow }) });
  return readAll(await layer.open(resolvedSpec(wanted), { signal: never }));
};
/** Refuses windows of more than `limit` bytes. */
const limited = (limit: number, status = 403) => {
  const memory = memoryUpstream(bytes);
  return fakeSource<ResolvedSpec>((spec) => {
    if ((spec.end ?? Number.POSITIVE_INFINITY) - spec.position > limit) throw refused(status);
    return memory.open(spec, { signal: never });
  });
};

describe("the shape of windows", () => {
  test("512 KiB first, then double, up to 8 MiB", async () => {
    const source = memoryUpstream(bytes);
    assertBytes(await read(source), bytes);
    expect(lengthsOf(source)).toEqual([512, 1024, 2048, 4096, 8192, 8192, 8192, 8192, 512]);
  });

  test.each([
    [0, 512],
    [448, 512],
    [449, 1024],
    [511, 1024],
    [512, 1024],
  ])("the first from %i KiB ends at %i KiB: the first chunk boundary at least 64 KiB away", async (from, to) => {
    const source = memoryUpstream(bytes);
    await windowing(source, { limits }).open(resolvedSpec({ position: from * KiB }), { signal: never });
    expect(source.asked[0]?.end).toBe(to * KiB);
  });

  test("always inside what is wanted, on the grid of chunks, and at most twice the one before", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: SIZE - 1 }),
        fc.integer({ min: 1, max: SIZE }),
        fc.constantFrom(512 * KiB, MiB, 3 * MiB, 8 * MiB),
        async (position, length, maxWindow) => {
          const source = memoryUpstream(bytes);
          const end = Math.min(SIZE, position + length);
          assertBytes(await read(source, { position, end }, maxWindow), bytes.subarray(position, end));
          let at = position;
          for (const [start, stop] of windowsOf(source)) {
            expect(start).toBe(at);
            expect(stop - start).toBeLessThanOrEqual(Math.max(maxWindow, CHUNK_SIZE));
            if (stop !== end) expect(stop % CHUNK_SIZE).toBe(0);
            at = stop;
          }
          expect(at).toBe(end);
        },
      ),
      { numRuns: 30 },
    );
  });

  test("the resolution's maxWindow counts where it is smaller, but not below the floor", async () => {
    const source = memoryUpstream(bytes);
    const resolution = { url: "http://media.example.com/a", maxWindow: MiB };
    await read(source, { end: 3 * MiB, resolution });
    expect(lengthsOf(source)).toEqual([512, 1024, 1024, 512]);
    const tiny = memoryUpstream(bytes);
    await read(tiny, { end: 256 * KiB, resolution: { ...resolution, maxWindow: 1000 } });
    expect(lengthsOf(tiny)).toEqual([64, 64, 64, 64]);
  });

  test("nothing is asked at or past a known end", async () => {
    const source = memoryUpstream(bytes);
    const layer = windowing(source, { limits });
    for (const position of [SIZE, SIZE + 1]) {
      const opened = await layer.open(resolvedSpec({ position, expect: { size: SIZE } }), { signal: never });
      expect([(await readAll(opened)).length, opened.size, opened.start]).toEqual([0, SIZE, position]);
    }
    expect(source.asked).toHaveLength(0);
  });
});

describe("later windows", () => {
  test("must agree with what the first answer said", async () => {
    const memory = memoryUpstream(bytes, { variant: "etag-1", validator: { origin: "o", etag: '"1"' } });
    await read(memory, { end: 2 * MiB });
    expect(memory.asked[0]?.expect).toBeUndefined();
    expect(memory.asked[1]?.expect).toEqual({
      variant: "etag-1",
      size: SIZE,
      validator: { origin: "o", etag: '"1"' },
    });
  });

  test("one that is answered with the whole resource goes on at the next byte", async () => {
    const source = fakeSource<ResolvedSpec>((spec, count) =>
      count === 1
        ? memoryUpstream(bytes).open(spec, { signal: never })
        : answer([bytes.subarray(0, 600_000), bytes.subarray(600_000, 3 * MiB)], {
            start: 0,
            ranged: false,
            variant: "v",
          }),
    );
    const position = 100_000;
    const opened = await windowing(source, { limits }).open(resolvedSpec({ position }), { signal: never });
    assertBytes(await readAll(opened), bytes.subarray(position, 3 * MiB));
    expect(source.asked).toHaveLength(2);
    expect(opened.endsCleanly()).toBe(true);
  });

  test("a short clean one is gone on with where it ended", async () => {
    const memory = memoryUpstream(bytes);
    const source = fakeSource<ResolvedSpec>((spec) =>
      memory.open({ ...spec, end: Math.min(spec.end ?? SIZE, spec.position + 300_000) }, { signal: never }),
    );
    assertBytes(await read(source, { end: 2 * MiB }), bytes.subarray(0, 2 * MiB));
  });

  test("an empty one is a failure, not an end", async () => {
    const source = fakeSource<ResolvedSpec>(() => answer([], { variant: "v", size: SIZE }));
    await expect(read(source as never)).rejects.toMatchObject({ code: "transient" });
  });

  test("are asked of the renewed URL, whose limits are learned anew", async () => {
    const memory = memoryUpstream(bytes);
    const other = { url: "http://other.example.net/b", variant: "v" };
    let asked = 0;
    const renew = () => {
      asked += 1;
      return asked === 2 ? Promise.resolve(other) : undefined;
    };
    await read(memory, { end: 2 * MiB, renew });
    expect(memory.asked.map(({ resolution }) => resolution.url)).toEqual([
      "http://media.example.com/a",
      other.url,
      other.url,
    ]);
  });

  test("that waited for their turn beyond the URL's life are asked of another, and hold no place while it is asked for", async () => {
    const memory = memoryUpstream(bytes);
    const held = new Set<number>();
    let places = 0;
    let lives = true;
    const admit = async ({ start }: Window): Promise<Admission> => {
      const place = (places += 1);
      held.add(place);
      // Hours pass before the second one.
      if (start > 0) lives = false;
      return { release: () => held.delete(place) };
    };
    let renewals = 0;
    const renew = () => {
      if (lives || renewals > 0) return undefined;
      renewals += 1;
      return settle().then(() => {
        expect(held.size).toBe(0);
        return { url: "http://media.example.com/renewed", variant: "v" };
      });
    };
    assertBytes(await read(memory, { end: 2 * MiB, admit, renew }), bytes.subarray(0, 2 * MiB));
    expect(memory.asked.map(({ resolution }) => resolution.url.split("/").at(-1))).toEqual(["a", "renewed", "renewed"]);
    expect(held.size).toBe(0);
  });

  test("are asked all the same where every URL is over at once: one call of the resolver for each", async () => {
    const memory = memoryUpstream(bytes);
    let renewals = 0;
    const renew = async (): Promise<Resolution> => ({
      url: `http://media.example.com/${(renewals += 1)}`,
      variant: "v",
    });
    assertBytes(await read(memory, { end: 2 * MiB, renew }), bytes.subarray(0, 2 * MiB));
    expect([memory.asked.length, renewals]).toEqual([3, 3]);
  });

  test("are not asked where the demand ended meanwhile, and every admission is given back once", async () => {
    let released: boolean[] = [];
    const asked: Window[] = [];
    const admit = async (window: Window): Promise<Admission> => {
      asked.push(window);
      let over = false;
      return {
        end: asked.length > 2 ? window.start : MiB,
        release(cut) {
          expect(over).toBe(false);
          over = true;
          released = [...released, cut];
        },
      };
    };
    const source = memoryUpstream(bytes);
    assertBytes(await read(source, { admit }), bytes.subarray(0, MiB));
    expect(windowsOf(source)).toEqual([
      [0, 512 * KiB],
      [512 * KiB, MiB],
    ]);
    expect(released).toEqual([false, false, false]);
  });
});

describe("places", () => {
  const admissions = () => {
    const released: boolean[] = [];
    return { released, admit: async (): Promise<Admission> => ({ release: (cut) => released.push(cut) }) };
  };

  test("a failure gives the place back, before and after the first byte", async () => {
    const { released, admit } = admissions();
    const source = fakeSource<ResolvedSpec>((_spec, count) => {
      if (count === 1) throw new AfterbayError("transient", "No");
      return answer([bytes.subarray(0, 10)], { variant: "v", size: SIZE }, new AfterbayError("transient", "No"));
    });
    await expect(read(source as never, { admit })).rejects.toMatchObject({ code: "transient" });
    await expect(read(source as never, { admit })).rejects.toMatchObject({ code: "transient" });
    expect(released).toEqual([false, true]);
  });

  test("an abort gives it back at once, though nobody reads on", async () => {
    const { released, admit } = admissions();
    const abort = new AbortController();
    const layer = windowing(memoryUpstream(bytes), { limits });
    const opened = await layer.open(resolvedSpec({ admit }), { signal: abort.signal });
    abort.abort(new Error("left"));
    await settle();
    expect(released).toEqual([true]);
    await opened[Symbol.asyncDispose]();
    expect(released).toEqual([true]);
  });

  test("one disposed of while a window opens frees that window", async () => {
    const { released, admit } = admissions();
    let release = (): void => {};
    const late = answer([bytes.subarray(0, 10)], { variant: "v", start: 512 * KiB });
    const source = fakeSource<ResolvedSpec>(async (spec, count) => {
      if (count === 1) return memoryUpstream(bytes).open(spec, { signal: never });
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return late;
    });
    const opened = await windowing(source, { limits }).open(resolvedSpec({ admit }), { signal: never });
    const body = opened.body[Symbol.asyncIterator]();
    await body.next();
    const pending = body.next();
    await settle();
    await opened[Symbol.asyncDispose]();
    release();
    await pending;
    expect([late.disposals > 0, released]).toEqual([true, [false, true]]);
  });
});

describe("limits", () => {
  test("a refused window is tried once, smaller, on the same URL; growth never goes back to the refused size", async () => {
    const source = limited(300 * KiB);
    assertBytes(await read(source, { end: 2 * MiB }), bytes.subarray(0, 2 * MiB));
    const lengths = lengthsOf(source);
    expect(lengths.slice(0, 2)).toEqual([512, 64]);
    expect(Math.max(...lengths.slice(1))).toBe(256);
    expect(lengths.filter((length) => length > 300)).toHaveLength(1);
  });

  test.each([401, 404, 410])("%i is about the URL, not the size", async (status) => {
    const source = limited(0, status);
    await expect(read(source)).rejects.toMatchObject({ status });
    expect(source.asked).toHaveLength(1);
  });

  test("where the smaller one is refused too, the first refusal counts", async () => {
    const source = limited(0);
    await expect(read(source)).rejects.toMatchObject({ code: "url-refused", status: 403 });
    expect(lengthsOf(source)).toEqual([512, 64]);
    expect(limits.limit("s", "http://media.example.com/a")).toBeUndefined();
  });

  test("is learned after two confirmations, for the source and the registrable domain, for 30 minutes", async () => {
    const first = limited(300 * KiB);
    await read(first, { end: MiB, resolution: { url: "http://a.example.com/1" } });
    expect(limits.limit("s", "http://b.example.com/2")).toBeUndefined();
    const second = limited(300 * KiB);
    await read(second, { end: MiB, resolution: { url: "http://b.example.com/2" } });
    expect(lengthsOf(second).slice(0, 2)).toEqual([512, 64]);
    const third = limited(300 * KiB);
    await read(third, { end: MiB, resolution: { url: "http://c.example.com/3" } });
    expect(Math.max(...lengthsOf(third))).toBe(256);
    expect(limits.limit("other", "http://c.example.com/3")).toBeUndefined();
    expect(limits.limit("s", "http://c.example.org/3")).toBeUndefined();
    await clock.advance(30 * 60_000);
    expect(limits.limit("s", "http://c.example.com/3")).toBeUndefined();
  });

  describe("what is no confirmation:", () => {
    const at = (name: string): { url: string } => ({ url: `http://media.example.com/${name}` });
    const learned = (): number | undefined => limits.limit("s", at("x").url);
    const teach = async (times: number): Promise<void> => {
      for (let n = 0; n < times; n += 1) await read(limited(300 * KiB), { end: MiB, resolution: at(`good${n}`) });
    };

    test("one alone", async () => {
      await teach(1);
      expect(learned()).toBeUndefined();
      await teach(1);
      expect(learned()).toBe(256 * KiB);
    });

    test("a refusal by one URL and an acceptance by another", async () => {
      await teach(1);
      const source = limited(0);
      await expect(read(source, { resolution: at("dead") })).rejects.toMatchObject({ status: 403 });
      await read(memoryUpstream(bytes), { end: MiB, resolution: at("alive") });
      expect(learned()).toBeUndefined();
    });

    test("a small window that was answered with the whole resource", async () => {
      await teach(1);
      const source = fakeSource<ResolvedSpec>((spec) => {
        if ((spec.end ?? 0) - spec.position > 100 * KiB) throw refused();
        return answer([bytes.subarray(0, MiB)], { ranged: false, size: MiB, variant: "v" });
      });
      await read(source, { resolution: at("whole") });
      expect(learned()).toBeUndefined();
    });

    test("a refusal at an offset: what crosses it is refused, then all beyond it", async () => {
      await teach(1);
      const wall = MiB + 1000;
      const memory = memoryUpstream(bytes);
      const source = fakeSource<ResolvedSpec>((spec) => {
        if ((spec.end ?? wall + 1) > wall) throw refused();
        return memory.open(spec, { signal: never });
      });
      await expect(read(source, { end: 4 * MiB, resolution: at("wall") })).rejects.toMatchObject({ status: 403 });
      expect(learned()).toBeUndefined();
      await teach(1);
      expect(learned()).toBe(256 * KiB);
    });
  });

  test("is raised by a larger window that is accepted after all, and counted from the last confirmation", async () => {
    const url = "http://media.example.com/1";
    limits.confirm("s", url, 100 * KiB, MiB);
    await clock.advance(20 * 60_000);
    limits.confirm("s", url, 100 * KiB, MiB);
    limits.accepted("s", url, 700 * KiB);
    expect(limits.limit("s", url)).toBe(700 * KiB);
    await clock.advance(30 * 60_000 - 1);
    limits.markUnnamed("s", url);
    expect(limits.limit("s", url)).toBe(700 * KiB);
    await clock.advance(1);
    expect(limits.limit("s", url)).toBeUndefined();
    limits.confirm("s", url, 100 * KiB, MiB);
    expect(limits.limit("s", url)).toBeUndefined();
    expect(limits.isUnnamed("s", url)).toBe(true);
  });

  test("never comes below 64 KiB, and a window of that size is not asked for smaller", async () => {
    const url = "http://media.example.com/1";
    for (let n = 0; n < 2; n += 1) limits.confirm("s", url, 5 * KiB, 64 * KiB);
    expect(limits.limit("s", url)).toBe(WINDOW_FLOOR);
    const source = limited(0);
    await expect(read(source, { resolution: { url } })).rejects.toMatchObject({ status: 403 });
    expect(lengthsOf(source)).toEqual([64]);
  });

  test("is judged by what was asked for: a hole smaller than the floor is not asked for twice", async () => {
    const source = limited(0);
    await expect(read(source, { end: 30 * KiB })).rejects.toMatchObject({ status: 403 });
    expect(lengthsOf(source)).toEqual([30]);
  });

  test("addresses have no registrable domain: host and port stand for one", () => {
    for (let n = 0; n < 2; n += 1) limits.confirm("s", "http://127.0.0.1:81/a", WINDOW_FLOOR, MiB);
    expect(limits.limit("s", "http://127.0.0.1:81/b")).toBe(WINDOW_FLOOR);
    expect(limits.limit("s", "http://127.0.0.1:82/a")).toBeUndefined();
  });
});

describe("where nothing names the bytes", () => {
  const unnamed = { validator: { origin: "o" } };

  test("one open-ended request replaces the windows, and the next time is the first", async () => {
    const source = memoryUpstream(bytes.subarray(0, 3 * MiB), unnamed);
    assertBytes(await read(source), bytes.subarray(0, 3 * MiB));
    expect(lengthsOf(source)).toEqual([512, Number.POSITIVE_INFINITY]);
    const again = memoryUpstream(bytes.subarray(0, 3 * MiB), unnamed);
    await read(again);
    expect(lengthsOf(again)).toEqual([Number.POSITIVE_INFINITY]);
  });

  test("one window that brings it all needs no other", async () => {
    const source = memoryUpstream(bytes.subarray(0, 512 * KiB), unnamed);
    await read(source);
    expect(lengthsOf(source)).toEqual([512]);
  });

  test("the answer that is dropped is disposed of", async () => {
    const dropped = answer([bytes.subarray(0, 10)], { size: SIZE, ...unnamed });
    const source = fakeSource<ResolvedSpec>((_spec, count) =>
      count === 1 ? dropped : answer([bytes.subarray(0, 10)], { size: SIZE, ...unnamed }),
    );
    await read(source);
    expect(dropped.disposals).toBe(1);
  });
});
