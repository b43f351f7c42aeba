import type { CommandSpec } from "./command.ts";
import { Complaints } from "./complaints.ts";
import { choice, one, text, toggle } from "./flags.ts";
import type { Io } from "./io.ts";
import { connectOwner } from "./owner.ts";
import { ownerSettings } from "./owner-settings.ts";
import { REPEATS } from "../player/queue.ts";
import { config, flags } from "./serve-settings.ts";
import { stopping } from "./stopping.ts";
import { HeldOutput } from "./player/held-output.ts";
import { listHelp } from "./track-id.ts";

const shuffle = toggle({ name: "shuffle", help: "in an order by chance" });
const repeat = one(
  choice(...REPEATS),
  { name: "repeat", argument: "MODE", help: `${REPEATS.join(", ")}: what comes after the last track` },
  undefined,
);
const noTui = toggle({ name: "no-tui", help: "lines in place of the full screen" });
const mpv = one(text, { name: "mpv", argument: "PATH", help: "the mpv to play with (the one in PATH)" }, "mpv");
const auto = { ...flags.auto, help: "add similar tracks when the queue nears its end" };
const own = [shuffle, repeat, auto, noTui, mpv];

/** `afterbay play [ID...]`: plays tracks on this machine, through mpv and the cache. */
export const play: CommandSpec = {
  name: "play",
  summary: "play tracks on this machine, with mpv",
  argument: "[ID...]",
  flags: [...own, flags.cacheDir, config, flags.sources, flags.allowPrivate, flags.cacheSize],
  notes: `${listHelp}\nWithout an ID, the queue of the last time goes on where it was.`,
  async run(input, world) {
    const settings = await ownerSettings(input, world.env, { fetches: true, stores: true, own });
    const wishes = {
      shuffle: settings.read(shuffle),
      repeat: settings.read(repeat),
      auto: settings.read(auto),
      isScreen: isTui(world) && !settings.read(noTui),
    };
    // A line of the log in the middle of the screen would stay there.
    const held = wishes.isScreen && world.stderr.isTTY === true ? new HeldOutput(world.stderr) : undefined;
    const io = held === undefined ? world : withStderr(world, held);
    // Most commands play nothing: what does is loaded here.
    const { playWith, startMpv } = await import("./player/session.ts");
    const starting = startMpv(settings.read(mpv));
    const stop = stopping(io.signals, io.exit);
    const gone = new AbortController();
    void stop.asked.then(() => gone.abort());
    try {
      const owner = await connectOwner(settings, io, gone.signal);
      try {
        const complaints = new Complaints(io);
        const { args: ids } = input;
        await playWith(owner, settings, complaints, { ids, wishes, mpv: starting, io, stop: stop.asked });
        complaints.end();
      } finally {
        await owner.close();
      }
    } catch (error) {
      // Being told to stop is how playing ends.
      if (!stop.now()) throw error;
    } finally {
      await starting.close();
      held?.release();
      stop.end();
    }
  },
};

/** The same world with another stderr; stdin is not touched for it. */
function withStderr(io: Io, stderr: Io["stderr"]): Io {
  return Object.create(io, { stderr: { value: stderr } }) as Io;
}

function isTui({ stdin, stdout, env }: Io): boolean {
  return stdin.isTTY === true && stdout.isTTY === true && env["TERM"] !== "dumb";
}
