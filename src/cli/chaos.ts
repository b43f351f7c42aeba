import { dirname, resolve } from "node:path";
import type { Chaos, ChaosTrack } from "../chaos/index.ts";
import { ConfigError } from "../errors.ts";
import { version } from "../version.ts";
import type { CommandSpec } from "./command.ts";
import { one, port, text } from "./flags.ts";
import type { Io } from "./io.ts";
import { readJsonFile } from "./json-file.ts";
import { explain, Failure, UsageError } from "./problems.ts";
import { config, flags, settingsReader } from "./serve-settings.ts";
import { stopping } from "./stopping.ts";
import { table } from "./terminal/table.ts";

const MAX_SEED = 2 ** 32 - 1;

const portFlag = one(port, { name: "port", argument: "PORT", help: "port to listen on (0: a free one)" }, 0);
const script = one(text, { name: "script", argument: "FILE", help: "what goes wrong, as JSON" }, undefined);
const seed = one(
  {
    is: `a seed, a whole number from 0 to ${MAX_SEED}`,
    json: ["number"],
    parse: (digits: string) => (/^\d{1,10}$/.test(digits) && Number(digits) <= MAX_SEED ? Number(digits) : undefined),
  },
  { name: "seed", argument: "N", help: "equal seeds, equal bytes and faults (the script's, or 1)" },
  undefined,
);
const own = [portFlag, script, seed];

/** `afterbay chaos`: a misbehaving upstream, until it is told to stop. */
export const chaos: CommandSpec = {
  name: "chaos",
  summary: "run a misbehaving upstream, for tests and bug reports",
  flags: [...own, flags.json, config],
  notes: "Without a script it serves a track for each fault. It listens on 127.0.0.1 alone.",
  async run({ given }, io) {
    const read = await settingsReader(given, io.env, own);
    const wanted = { port: read(portFlag), script: read(script), seed: read(seed) };
    const stop = stopping(io.signals, io.exit);
    try {
      const server = await start(wanted, io);
      if (read(flags.json)) {
        io.stdout.write(`${JSON.stringify({ event: "ready", url: server.url, pid: process.pid, version })}\n`);
      } else {
        io.stdout.write(announcement(server));
      }
      await stop.asked;
      await server.close();
    } finally {
      stop.end();
    }
  },
};

interface Wanted {
  readonly port: number;
  readonly script: string | undefined;
  readonly seed: number | undefined;
}

async function start(wanted: Wanted, io: Io): Promise<Chaos> {
  // Only this command needs it.
  const { builtIn, startChaos } = await import("../chaos/index.ts");
  const path = wanted.script === undefined ? undefined : resolve(io.cwd, wanted.script);
  const value = path === undefined ? builtIn : await readJsonFile(path, "the script", UsageError);
  try {
    return await startChaos({
      script: value,
      directory: path === undefined ? io.cwd : dirname(path),
      port: wanted.port,
      seed: wanted.seed,
      onFault: (error) => io.stderr.write(`afterbay: ${error instanceof Error ? error.stack : String(error)}\n`),
    });
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(`${wanted.script}: ${error.message}.`, { cause: error });
    throw new Failure(explain(error, { host: "127.0.0.1", port: wanted.port, cacheDir: "" }), { cause: error });
  }
}

function announcement({ url, template, tracks }: Chaos): string {
  const cells = (of: (track: ChaosTrack) => string): string[] => tracks.map(of);
  const lines = [
    `Listening on ${url}`,
    "",
    ...table([
      { title: "TRACK", cells: cells(({ id }) => id) },
      { title: "BYTES", cells: cells(({ size }) => String(size)), align: "right" },
      { title: "THROUGH AFTERBAY", cells: cells(({ expect }) => expect) },
      { title: "WHAT GOES WRONG", cells: cells(({ about }) => about) },
    ]),
    "",
    "Put Afterbay in front of it:",
    `  afterbay serve --port 8086 --cache-dir "$(mktemp -d)" --source 'chaos=webhook:${template}'`,
    `  curl -s http://127.0.0.1:8086/stream/${tracks[0]?.id} | sha256sum`,
    "The bytes as they should be, and what happened:",
    `  curl -s ${url}/chaos/origin/${tracks[0]?.id} | sha256sum`,
    `  curl -s '${url}/chaos/log?track=${tracks[0]?.id}'`,
  ];
  return `${lines.join("\n")}\n`;
}
