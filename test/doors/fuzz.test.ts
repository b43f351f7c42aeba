import { connect } from "node:net";
import { expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { ResponseParser } from "../helpers/client/response-parser.ts";
import { eventually, openFiles, openSockets } from "../helpers/process.ts";
import { type Random, seeded } from "../helpers/random.ts";
import { startRig } from "../helpers/rig.ts";

// FUZZ=100000 SEED=7 npm test -- test/doors/fuzz.test.ts
const CASES = Number(process.env.FUZZ ?? 10_000);
const SEED = Number(process.env.SEED ?? 1);
const AT_ONCE = 64;
/** A server that has said nothing for so long waits for the rest of the request, ms. */
const QUIET_MS = 150;
const SIZE = 3000;

type Make = (random: Random) => string;

const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
const upTo = (random: Random, n: number): number => Math.floor(random() * (n + 1));
const times = (random: Random, most: number, make: Make): string =>
  Array.from({ length: upTo(random, most) }, () => make(random)).join("");
const anyByte: Make = (random) => String.fromCharCode(upTo(random, 255));
const printable: Make = (random) => String.fromCharCode(33 + upTo(random, 93));
const number: Make = (random) =>
  pick(random, [
    "0",
    "1",
    "-0",
    "5",
    "2999",
    "3000",
    "9007199254740993",
    "1e3",
    "0x10",
    "٣",
    " 7",
    "18446744073709551616",
  ]);

const METHODS = [
  "GET",
  "HEAD",
  "PUT",
  "POST",
  "DELETE",
  "OPTIONS",
  "PATCH",
  "TRACE",
  "CONNECT",
  "get",
  "G\u0000T",
  "",
  "ÿ",
  "PRI",
];
const SEGMENTS = [
  "stream",
  "song",
  "u",
  "w",
  "api",
  "tracks",
  "prefetch",
  "pin",
  "playlist.m3u8",
  "cached.m3u8",
  "ping",
  "..",
  ".",
  "",
  "%2e%2e",
  "%00",
  "%",
  "%zz",
  "%C0%AF",
  "%ED%A0%80",
  "a b",
  "*",
  ";",
  "?",
  "#",
  "\\",
  "%2F",
  "%252e",
  "__proto__",
  "constructor",
  "x".repeat(201),
  "%F0%9F%8E%B5",
  "\u0000",
  "http:",
  "control",
  "about",
];
const QUERIES = [
  "quality=",
  "offline=1",
  "quality=low",
  "list=",
  "token=x",
  "offline",
  "=",
  "&",
  "%",
  "quality=low&quality=high",
  "q=%00",
  "list=__proto__",
];
const RANGES = [
  "bytes=",
  "bytes=0-",
  "bytes=-",
  "bytes=0-0",
  "bytes=3000-",
  "bytes=4000-5000",
  "bytes=-1",
  "items=0-1",
  "bytes=5-2",
  "BYTES=0-1",
  "bytes = 0-1",
  "bytes=0-1,",
  "bytes=0-1,2-3",
  "none",
  "bytes=0-1;q=1",
];
const NAMES = [
  "Host",
  "Range",
  "If-Range",
  "If-None-Match",
  "If-Match",
  "If-Modified-Since",
  "Origin",
  "Referer",
  "Cookie",
  "Authorization",
  "Content-Length",
  "Transfer-Encoding",
  "Content-Type",
  "Connection",
  "Upgrade",
  "Expect",
  "TE",
  "Accept-Encoding",
  "Icy-MetaData",
  "Sec-Fetch-Site",
  "X-Forwarded-Host",
  "Last-Event-ID",
  "User-Agent",
  "X\u0000Y",
  "",
  ":",
];
const VALUES = [
  "",
  "*",
  "close",
  "keep-alive",
  "chunked",
  "gzip",
  "identity, chunked",
  "0",
  "10",
  "-1",
  "99999999999",
  "100-continue",
  "cross-site",
  "null",
  "http://evil.example",
  'W/"x"',
  '"x"',
  '"',
  '""',
  "application/json",
  "text/plain",
  "h2c",
  "a\u0000b",
  "a\r b",
  "\u00ff",
  "Thu, 01 Jan 1970 00:00:00 GMT",
  "127.0.0.1",
  "localhost",
  "[::1]",
  "evil.example",
  "127.0.0.1:99999",
  "x".repeat(5000),
];
const BODIES = [
  "",
  "{}",
  "[]",
  "null",
  '{"ids":[]}',
  '{"ids":["u/song"],"mode":"head"}',
  '{"ids":[1,null,{}]}',
  '{"ids":"u/song"}',
  '{"__proto__":{"ids":[]}}',
  "[".repeat(5000),
  '{"ids":["u/../../etc/passwd","\u0000","nope/x"]}',
  "\u00ff\u00fe",
  '{"ids":["u/' + "y".repeat(5000) + '"],"mode":"full"}',
  "{",
];

const path: Make = (random) =>
  pick(random, ["/", "/", "/stream/", "/api/", "http://127.0.0.1/", "", "*", "//", "/\\"]) +
  Array.from({ length: upTo(random, 4) }, () =>
    random() < 0.85 ? pick(random, SEGMENTS) : times(random, 12, anyByte),
  ).join("/") +
  (random() < 0.3 ? `?${times(random, 3, (r) => pick(r, QUERIES) + (r() < 0.3 ? times(r, 6, printable) : ""))}` : "");
const range: Make = (random) =>
  random() < 0.5
    ? pick(random, RANGES)
    : `bytes=${times(random, 30, (r) => `${r() < 0.8 ? number(r) : ""}-${r() < 0.7 ? number(r) : ""}${r() < 0.6 ? "," : ""}`)}`;
const header: Make = (random) => {
  const name = random() < 0.9 ? pick(random, NAMES) : times(random, 10, printable);
  const value = name === "Range" ? range(random) : random() < 0.85 ? pick(random, VALUES) : times(random, 20, anyByte);
  return `${name}${pick(random, [": ", ":", ": ", " : ", ""])}${value}${pick(random, ["\r\n", "\r\n", "\r\n", "\n", "\r"])}`;
};
/** What a sound client says, with one or a few things wrong. */
const nearly: Make = (random) => {
  const method = random() < 0.8 ? pick(random, METHODS.slice(0, 6)) : pick(random, METHODS);
  const version = pick(random, [
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/2.0",
    "HTTP/0.9",
    "",
    "http/1.1",
  ]);
  const body = random() < 0.3 ? pick(random, BODIES) : "";
  const length =
    body === ""
      ? ""
      : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body, "latin1") + (random() < 0.1 ? upTo(random, 4) - 2 : 0)}\r\n`;
  const host = (random() < 0.9 ? "Host: 127.0.0.1\r\n" : "") + (random() < 0.8 ? "Connection: close\r\n" : "");
  return `${method} ${path(random)} ${version}\r\n${host}${times(random, 3, header)}${length}\r\n${body}`;
};
/** Ranges of a track that is there: what comes back is held against the origin. */
const ranged: Make = (random) =>
  `GET /stream/song HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: ${range(random)}\r\nConnection: close\r\n\r\n`;
const noise: Make = (random) => times(random, 300, anyByte);
const pipelined: Make = (random) => nearly(random) + ranged(random) + nearly(random);
const KINDS: readonly Make[] = [nearly, nearly, nearly, nearly, ranged, ranged, noise, pipelined];

/** Sends `text` as it is; what came back until the server closed, or was quiet. */
function exchange(port: number, text: string, hangUp: boolean): Promise<Buffer> {
  return new Promise((done) => {
    const got: Buffer[] = [];
    const socket = connect({ port, host: "127.0.0.1" });
    const end = (): void => {
      socket.destroy();
      done(Buffer.concat(got));
    };
    socket.setTimeout(QUIET_MS, end);
    socket.on("connect", () => {
      socket.write(text, "latin1");
      if (hangUp) socket.end();
    });
    socket.on("data", (bytes) => got.push(bytes));
    socket.on("error", () => {});
    socket.on("close", end);
  });
}

test(`A4: ${CASES} hostile requests: each is answered properly or cut, none is a 500, and the server stays as it was`, {
  timeout: 30_000 + CASES * 10,
}, async () => {
  const random = seeded(SEED);
  const rig = await startRig();
  try {
    rig.up.resource("song", { size: SIZE });
    expect((await rig.get("song")).status).toBe(200);
    const song = rig.up.bytes("song");
    const sockets = openSockets();
    const files = openFiles()?.length;
    const statuses = new Map<number, number>();
    let left = CASES;
    const client = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        const kind = pick(random, KINDS);
        const text = kind(random);
        const answer = await exchange(rig.port, text, random() < 0.2);
        if (answer.length === 0) continue;
        const parser = new ResponseParser(text.startsWith("HEAD ") ? "HEAD" : "GET");
        parser.push(answer);
        parser.end();
        const { status, headers } = parser;
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        expect(status, text).toBeGreaterThanOrEqual(200);
        expect(status, text).not.toBe(500);
        if (kind !== ranged) continue;
        const said = /^bytes (\d+)-(\d+)\/3000$/.exec(headers["content-range"] ?? "");
        if (status === 200) assertBytes(parser.body(), song);
        else if (said !== null) assertBytes(parser.body(), song.subarray(Number(said[1]), Number(said[2]) + 1));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, client));

    const seen = [...statuses].toSorted(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
    console.log(`A4: answered ${seen.join(", ")}`);
    // The generator reaches what it is meant to reach.
    for (const status of [200, 206, 400, 404, 405, 416])
      expect(statuses.get(status) ?? 0, seen.join()).toBeGreaterThan(10);
    expect(rig.log.filter(({ level }) => level === "error")).toEqual([]);
    assertBytes((await rig.get("song")).body, song);
    await eventually(() => expect(openSockets()).toBeLessThanOrEqual(sockets), { timeoutMs: 15_000, intervalMs: 100 });
    await eventually(() => expect(openFiles()?.length ?? 0).toBeLessThanOrEqual((files ?? 0) + 2));
  } finally {
    await rig.close();
  }
});
