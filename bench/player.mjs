// The playback service with real mpv. `node player.mjs [ROUNDS]` measures from "play" to mpv's playback-restart, through the
// cache and without it, interleaved, and the silence between two tracks. `node player.mjs outage [SECONDS]` takes the
// source away in the middle of a track. Needs mpv, ffmpeg, and `npm run build`.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { createProxy } from "../dist/index.js";
import { Playback, proxyOutcomes, startMpvDriver } from "../dist/player/index.js";
import { median } from "./harness.mjs";

const LATENCY_MS = 20;
const dir = mkdtempSync(join(tmpdir(), "afterbay-bench-"));
const kinds = {
  flac: ["-c:a", "flac"],
  webm: ["-c:a", "libopus", "-b:a", "160k"],
  m4a: ["-c:a", "aac", "-b:a", "192k"],
  mp3: ["-c:a", "libmp3lame", "-b:a", "192k"],
};
const types = { flac: "audio/flac", webm: "audio/webm", m4a: "audio/mp4", mp3: "audio/mpeg" };

/** One tone in two halves, so that what is heard between them is only what the player puts there. */
function encode() {
  const wav = join(dir, "whole.wav");
  const tone = "aevalsrc=0.4*cos(2*PI*t*440)|0.4*cos(2*PI*t*440):s=48000:d=120";
  execFileSync("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", tone, wav]);
  for (const [kind, codec] of Object.entries(kinds)) {
    execFileSync("ffmpeg", ["-v", "error", "-i", wav, "-t", "60", ...codec, join(dir, `1.${kind}`)]);
    execFileSync("ffmpeg", ["-v", "error", "-ss", "60", "-i", wav, ...codec, join(dir, `2.${kind}`)]);
  }
}

/** `/flac-1-any`: the first half as FLAC; each name is a track of its own. */
async function startOrigin() {
  const files = new Map();
  for (const kind of Object.keys(kinds)) {
    for (const half of [1, 2]) files.set(`${kind}-${half}`, readFileSync(join(dir, `${half}.${kind}`)));
  }
  const origin = { isUp: true, sockets: new Set(), rate: Number.POSITIVE_INFINITY };
  const serve = async (request, response) => {
    const [kind, half] = request.url.slice(1).split("-");
    const bytes = files.get(`${kind}-${half}`);
    const [, first = "0", last = ""] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    const start = Number(first);
    const end = last === "" ? bytes.length : Math.min(Number(last) + 1, bytes.length);
    await delay(LATENCY_MS);
    response.writeHead(request.headers.range ? 206 : 200, {
      "content-type": types[kind],
      "content-length": end - start,
      "accept-ranges": "bytes",
      etag: `"${kind}-${half}"`,
      ...(request.headers.range ? { "content-range": `bytes ${start}-${end - 1}/${bytes.length}` } : {}),
    });
    for (let at = start; at < end && !response.destroyed; at += 16_384) {
      response.write(bytes.subarray(at, Math.min(end, at + 16_384)));
      if (Number.isFinite(origin.rate)) await delay((16_384 / origin.rate) * 1000);
    }
    response.end();
  };
  origin.server = createServer((request, response) => void serve(request, response));
  origin.server.on("connection", (socket) => {
    if (!origin.isUp) socket.destroy();
    origin.sockets.add(socket);
    socket.on("close", () => origin.sockets.delete(socket));
  });
  origin.server.listen(0, "127.0.0.1");
  await once(origin.server, "listening");
  origin.port = origin.server.address().port;
  return origin;
}

/** mpv alone, as the driver starts it, but for what it plays. */
async function startMpv() {
  const path = join(dir, "mpv");
  const mpv = spawn("mpv", [
    ...["--no-config", "--idle", "--no-video", "--no-terminal", "--ao=null", "--ytdl=no", "--osc=no"],
    ...["--load-scripts=no", "--load-stats-overlay=no", `--input-ipc-server=${path}`],
  ]);
  let socket;
  for (;;) {
    socket = connect(path);
    const connected = await Promise.race([once(socket, "connect").then(() => true), once(socket, "error")]).catch(
      () => {},
    );
    if (connected === true) break;
    await delay(20);
  }
  const waiting = [];
  createInterface({ input: socket }).on("line", (line) => {
    if (line.includes('"playback-restart"')) waiting.shift()?.();
  });
  const play = (url) =>
    new Promise((resolve) => {
      const began = performance.now();
      waiting.push(() => resolve(performance.now() - began));
      socket.write(`${JSON.stringify({ command: ["loadfile", url, "replace"] })}\n`);
    });
  return { play, stop: () => mpv.kill() };
}

async function startPlayer(proxy, args) {
  const driver = await startMpvDriver({ args });
  const playback = new Playback({
    driver,
    urlFor: ({ source, id }) => proxy.urlFor(id, source),
    outcomeOf: proxyOutcomes(proxy).outcomeOf,
  });
  let started = () => {};
  driver.listen(({ type }) => type === "started" && started());
  const play = async (id) => {
    playback.clear();
    playback.add([{ source: "bench", id }]);
    // What mpv is told to stop is no part of what is measured.
    await delay(350);
    return await new Promise((resolve) => {
      const began = performance.now();
      started = () => resolve(performance.now() - began);
      playback.play();
    });
  };
  return { playback, play };
}

async function latencies(proxy, origin, rounds) {
  const mpv = await startMpv();
  const { playback, play } = await startPlayer(proxy, ["--ao=null"]);
  const rows = new Map();
  const note = (name, ms) => rows.set(name, [...(rows.get(name) ?? []), ms]);
  for (const kind of Object.keys(kinds)) await (await fetch(proxy.urlFor(`${kind}-1`))).arrayBuffer();
  await delay(500);
  // The first round warms up.
  for (let round = 0; round <= rounds; round += 1) {
    for (const kind of Object.keys(kinds)) {
      const direct = `http://127.0.0.1:${origin.port}/${kind}-1-direct${round}`;
      const measured = [
        [`${kind}, the plain file`, await mpv.play(join(dir, `1.${kind}`))],
        [`${kind}, cached`, await play(`${kind}-1`)],
        [`${kind}, the origin's address`, await mpv.play(direct)],
        [`${kind}, uncached`, await play(`${kind}-1-round${round}`)],
      ];
      if (round > 0) for (const [name, ms] of measured) note(name, ms);
    }
  }
  for (const [name, values] of rows) console.log(`${name.padEnd(28)} median ${median(values).toFixed(1)} ms`);
  await playback.close();
  mpv.stop();
}

async function gaps(proxy) {
  for (const kind of Object.keys(kinds)) {
    const file = join(dir, "out.wav");
    for (const half of [1, 2]) await (await fetch(proxy.urlFor(`${kind}-${half}`))).arrayBuffer();
    await delay(500);
    const { playback } = await startPlayer(proxy, ["--ao=pcm", `--ao-pcm-file=${file}`]);
    playback.add([1, 2].map((half) => ({ source: "bench", id: `${kind}-${half}` })));
    playback.play();
    while (playback.state.status !== "ended") await delay(20);
    await playback.close();
    console.log(`${kind}: ${silence(readFileSync(file)).toFixed(2)} ms of silence between two cached tracks`);
  }
}

/** The longest silence between sound and sound, ms, of 16 bits or floating samples. */
function silence(file) {
  const at = file.indexOf("data", 12, "latin1") + 8;
  const channels = file.readUInt16LE(22);
  const bits = file.readUInt16LE(34);
  const step = (bits / 8) * channels;
  let longest = 0;
  let last;
  for (let index = 0; at + (index + 1) * step <= file.length; index += 1) {
    const offset = at + index * step;
    const sample = bits === 16 ? file.readInt16LE(offset) / 32_768 : file.readFloatLE(offset);
    if (Math.abs(sample) < 0.01) continue;
    if (last !== undefined) longest = Math.max(longest, index - last - 1);
    last = index;
  }
  return (longest / 48_000) * 1000;
}

/** Takes the source away for `seconds` once the first track plays, long before it is read. */
async function outage(proxy, origin, seconds) {
  origin.rate = 60_000;
  const { playback } = await startPlayer(proxy, ["--ao=null"]);
  const failed = [];
  let last = "";
  const began = performance.now();
  playback.listen((event) => {
    if (event.type === "failed") failed.push(event.code);
    else if (event.state.status !== last) {
      last = event.state.status;
      const at = ((performance.now() - began) / 1000).toFixed(1);
      console.log(`${at.padStart(6)} s  ${last} at ${(event.state.positionMs / 1000).toFixed(1)} s`);
    }
  });
  playback.add([
    { source: "bench", id: "flac-1-outage" },
    { source: "bench", id: "mp3-1-after" },
  ]);
  playback.play();
  while (playback.state.positionMs < 2000) await delay(50);
  origin.isUp = false;
  for (const socket of origin.sockets) socket.destroy();
  await delay(seconds * 1000);
  origin.isUp = true;
  origin.rate = Number.POSITIVE_INFINITY;
  const before = playback.state.positionMs;
  while (playback.state.status !== "playing" || playback.state.positionMs < before + 2000) await delay(50);
  const after = ((performance.now() - began) / 1000 - seconds).toFixed(1);
  console.log(
    `away for ${seconds} s: track ${playback.state.index + 1} of 2 plays on, ${failed.length} skipped (${after} s besides)`,
  );
  await playback.close();
}

const [what = "20", seconds = "20"] = process.argv.slice(2);
let origin;
let proxy;
try {
  encode();
  origin = await startOrigin();
  proxy = await createProxy({
    name: "bench",
    resolve: (id) => ({ url: `http://127.0.0.1:${origin.port}/${id}` }),
    hosts: [`127.0.0.1:${origin.port}`],
    cacheDir: join(dir, "cache"),
  });
  await proxy.listen();
  console.log(`load ${loadavg()[0].toFixed(1)}`);
  if (what === "outage") await outage(proxy, origin, Number(seconds));
  else {
    await latencies(proxy, origin, Number(what));
    await gaps(proxy);
  }
  console.log(`load ${loadavg()[0].toFixed(1)}`);
} finally {
  await proxy?.close();
  origin?.server.close();
  origin?.server.closeAllConnections();
  rmSync(dir, { recursive: true, force: true });
}
