import type { CommandSpec } from "../command.ts";
import { naming } from "../complaints.ts";
import { type Track, track as trackShape } from "../control/answers.ts";
import { trackUrl, withOwner } from "../owner.ts";
import { commonFlags, ownerSettings } from "../owner-settings.ts";
import { chunkMap } from "../terminal/chunk-map.ts";
import { formatLength, formatPercent, formatSize } from "../terminal/format.ts";
import { type Screen, screenOf } from "../terminal/screen.ts";
import { plain } from "../terminal/width.ts";
import { idHelp, keyOf, written } from "../track-id.ts";

/** `afterbay cache show ID`: the facts of one track, and a map of its bytes. */
export const show: CommandSpec = {
  name: "show",
  summary: "show what is known of a track, and a map of its bytes",
  argument: "<ID>",
  flags: commonFlags,
  notes: idHelp,
  async run(input, io) {
    const settings = await ownerSettings(input, io.env, { fetches: false, stores: false });
    const [id = ""] = input.args;
    await withOwner(settings, io, async (owner) => {
      const key = keyOf(id, owner.defaultSource);
      const name = written(key, owner.defaultSource);
      const found = await naming(name, () =>
        owner.json({ method: "GET", path: trackUrl("/api/tracks", key) }, trackShape),
      );
      const screen = screenOf(io.stdout, io.env);
      const lines = settings.json ? [JSON.stringify(found)] : describe(found, screen);
      io.stdout.write(`${lines.join("\n")}\n`);
    });
  },
};

function describe(track: Track, screen: Screen): string[] {
  const { size, cachedBytes, durationMs, lastPlayedAt, chunks, chunkSize } = track;
  const facts: (readonly [string, string | undefined])[] = [
    ["key", track.key],
    ["title", track.title],
    ["artist", track.artist],
    ["album", track.album],
    ["length", durationMs === undefined ? undefined : formatLength(durationMs)],
    ["type", track.contentType],
    ["variant", track.variant],
    ["size", size === undefined ? "not known" : `${formatSize(size)} (${size} bytes)`],
    ["cached", `${cachedBytes} bytes${size === undefined ? "" : `, ${formatPercent(cachedBytes, size)}`}`],
    ["complete", track.complete ? "yes, plays with no network" : "no"],
    ["pinned", track.pinned ? "yes" : "no"],
    ["played", lastPlayedAt],
  ];
  const known = facts.filter(([, value]) => value !== undefined && value !== "");
  const labels = Math.max(...known.map(([label]) => label.length));
  return [
    ...known.map(([label, value = ""]) => `${screen.dim(label.padEnd(labels))}  ${plain(value)}`),
    ...(chunks === "" ? [] : ["", ...chunkMap(chunks, chunkSize, screen)]),
  ];
}
