import { describe, expect, test } from "vitest";
import { builtIn, startChaos } from "../../src/chaos/index.ts";
import { ConfigError } from "../../src/errors.ts";

/** The complaint about a script, or undefined. */
async function complaint(script: unknown): Promise<string | undefined> {
  try {
    const chaos = await startChaos({ script, directory: "/nonexistent", onFault: () => {} });
    await chaos.close();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    const { message } = error as Error;
    expect(message).not.toContain("\n");
    return message;
  }
}

const track = (one: unknown): object => ({ tracks: { song: one } });
const fault = (one: unknown): object => track({ faults: [{ do: one }] });

describe("what is wrong is told, with its place", () => {
  test.each([
    [[], "the script: [] is not an object"],
    ["x", 'the script: "x" is not an object'],
    [{}, 'the script: "tracks" is missing'],
    [{ tracks: {} }, "tracks: there is none"],
    [{ tracks: { song: {} }, trakcs: {} }, "trakcs: there is no such key; known are about, seed, faults, tracks"],
    [{ seed: -1, tracks: { a: {} } }, "seed: -1 is not a seed, a whole number from 0 to 4294967295"],
    [{ tracks: { "a/b": {} } }, 'tracks."a/b": "a/b" is not a track\'s id'],
    [{ tracks: { chaos: {} } }, 'tracks.chaos: "chaos" is not a track\'s id'],
    [{ tracks: { "..": {} } }, 'tracks."..": ".." is not a track\'s id'],
    [track({ sise: 1 }), "tracks.song.sise: there is no such key; known here are about, expect, size, file,"],
    [track({ size: "1 MB" }), 'tracks.song.size: "1 MB" is not a size, like 4096 or 512K'],
    [track({ size: -1 }), "tracks.song.size: -1 is not a size"],
    [track({ size: 1.5 }), "tracks.song.size: 1.5 is not a size"],
    [track({ size: null }), "tracks.song.size: null is not a size"],
    [track({ size: 1, file: "x" }), 'tracks.song: "file" has a size of its own; leave out "size"'],
    [track({ file: "no.flac" }), "tracks.song.file: no.flac cannot be read (ENOENT)"],
    [track({ etag: "a\r\nb" }), 'tracks.song.etag: "a\\r\\nb" is not a header\'s value'],
    [track({ urls: { told: true } }), 'tracks.song.urls: "told" needs a "lifetime" to tell'],
    [track({ urls: { lifetime: "soon" } }), 'tracks.song.urls.lifetime: "soon" is not a duration, like 500ms or 4s'],
    [track({ faults: "reset" }), 'tracks.song.faults: "reset" is not a list of rules, or {"rules"'],
    [track({ faults: [{}] }), 'tracks.song.faults[0]: "do" is missing'],
    [track({ faults: [{ do: {} }, { do: 1 }] }), "tracks.song.faults[1].do: 1 is not an object"],
    [track({ faults: [{ do: {}, times: 0 }] }), "tracks.song.faults[0].times: 0 is not a whole number from 1"],
    [track({ faults: [{ do: {}, when: { methd: 1 } }] }), "tracks.song.faults[0].when.methd: there is no such key"],
    [fault({ rest: 1 }), "tracks.song.faults[0].do.rest: there is no such key; known here are latency,"],
    [fault({ reset: "soon" }), 'tracks.song.faults[0].do.reset: "soon" is not a size'],
    [fault({ reset: true }), 'tracks.song.faults[0].do.reset: true is not a place: "headers", a number of bytes'],
    [fault({ reset: {} }), 'tracks.song.faults[0].do.reset: "offset" is missing'],
    [fault({ status: 99 }), "tracks.song.faults[0].do.status: 99 is not an HTTP status from 200 to 599"],
    [fault({ status: "500" }), 'tracks.song.faults[0].do.status: "500" is not an HTTP status'],
    [fault({ ignoreRange: false }), "tracks.song.faults[0].do.ignoreRange: false is not true"],
    [fault({ encode: "zstd" }), 'tracks.song.faults[0].do.encode: "zstd" is not one of "gzip", "br", "deflate"'],
    [fault({ headers: { "a b": "x" } }), 'tracks.song.faults[0].do.headers."a b": "a b" is not a header\'s name'],
    [fault({ headers: { a: 1 } }), "tracks.song.faults[0].do.headers.a: 1 is not a header's value"],
    [fault({ pause: { at: 1 } }), 'tracks.song.faults[0].do.pause: "for" is missing'],
    [fault({ trickle: { at: 1, rate: 0 } }), "tracks.song.faults[0].do.trickle.rate: 0 is not a size of at least 1"],
    [fault({ contentLength: {} }), 'tracks.song.faults[0].do.contentLength: {} is not {"add": BYTES} or {"as": SIZE}'],
    [fault({ contentRange: { as: "x", total: 1 } }), "tracks.song.faults[0].do.contentRange:"],
    [fault({ vary: { from: 1 } }), 'tracks.song.faults[0].do.vary: "to" is missing'],
    [fault({ page: { text: "x" } }), 'tracks.song.faults[0].do.page: "contentType" is missing'],
    [fault({ wall: { crossing: "short" } }), 'tracks.song.faults[0].do.wall: "at" is missing'],
    [fault({ redirect: { status: 200 } }), "tracks.song.faults[0].do.redirect.status: 200 is not a status"],
    [fault({ page: "x".repeat(200) }), `tracks.song.faults[0].do.page: "${"x".repeat(59)}… is not one of`],
    [track({ faults: { random: { rate: 2 } } }), "tracks.song.faults.random.rate: 2 is not a number from 0 to 1"],
    [track({ faults: { random: { kinds: ["x"] } } }), 'tracks.song.faults.random.kinds[0]: "x" is not one of'],
    [track({ faults: { random: { kinds: [] } } }), "tracks.song.faults.random.kinds: [] is not a list with something"],
    [
      track({ faults: { rnadom: {} } }),
      "tracks.song.faults.rnadom: there is no such key; known here are rules, random",
    ],
    [track({ resolve: [{ do: { statsu: 1 } }] }), "tracks.song.resolve[0].do.statsu: there is no such key"],
    [track({ resolve: [{ when: { reason: "x" }, do: {} }] }), "tracks.song.resolve[0].when.reason:"],
    [track({ resolution: { url: 1 } }), "tracks.song.resolution.url: 1 is not a text"],
    [{ faults: [{ do: { x: 1 } }], tracks: { a: {} } }, "faults[0].do.x: there is no such key"],
    [JSON.parse('{"tracks":{"a":{"__proto__":{"size":1}}}}'), "tracks.a.__proto__: there is no such key"],
  ])("%j", async (script, words) => {
    expect(await complaint(script)).toContain(words);
  });
});

test("what is right is taken", async () => {
  expect(await complaint(builtIn)).toBeUndefined();
  const everything = {
    about: "all of it",
    seed: 4_294_967_295,
    faults: { rules: [{ when: { request: { from: 2, to: 3 } }, do: {} }], random: { rate: 0.5, streak: 1, seed: 0 } },
    tracks: { [`a.b_c~d-${"x".repeat(190)}`]: { size: "1K", faults: { rules: [] } }, __proto: { size: 0 } },
  };
  expect(await complaint(everything)).toBeUndefined();
});
