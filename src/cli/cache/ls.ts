import type { CommandSpec } from "../command.ts";
import { type Track, tracks as tracksShape } from "../control/answers.ts";
import { withOwner } from "../owner.ts";
import { commonFlags, ownerSettings } from "../owner-settings.ts";
import { count, formatAgo, formatPercent, formatSize } from "../terminal/format.ts";
import { screenOf } from "../terminal/screen.ts";
import { type Column, table } from "../terminal/table.ts";
import { plain } from "../terminal/width.ts";
import { written } from "../track-id.ts";

/** What of an id must stay to be told from others, on a narrow terminal. */
const MIN_ID = 8;
const MIN_TITLE = 12;

/** `afterbay cache ls`: what is kept, the last played first. */
export const ls: CommandSpec = {
  name: "ls",
  summary: "list what is kept",
  flags: commonFlags,
  async run(input, io) {
    const settings = await ownerSettings(input, io.env, { fetches: false, stores: false });
    await withOwner(settings, io, async (owner) => {
      const all = await owner.json({ method: "GET", path: "/api/tracks" }, tracksShape);
      const tracks = all.tracks.filter(({ cachedBytes, pinned }) => cachedBytes > 0 || pinned).toSorted(lastPlayed);
      const { cacheDir, bytes, diskBytes, budget } = owner.about;
      // A budget of this command's own says nothing.
      const shownBudget = owner.own ? undefined : budget;
      if (settings.json) {
        io.stdout.write(`${JSON.stringify({ cacheDir, bytes, diskBytes, budget: shownBudget, tracks })}\n`);
        return;
      }
      const screen = screenOf(io.stdout, io.env);
      const [head = "", ...lines] = table(columns(tracks, owner.defaultSource, Date.now()), screen.width);
      if (tracks.length > 0) io.stdout.write(`${[screen.bold(head), ...lines].join("\n")}\n`);
      const of = shownBudget === undefined ? "" : ` of ${formatSize(shownBudget)}`;
      const total = `${count(tracks.length, "track")}, ${formatSize(diskBytes ?? bytes)}${of}`;
      io.stdout.write(`${tracks.length > 0 ? screen.dim(total) : `Nothing is kept in ${cacheDir}`}\n`);
    });
  },
};

function columns(tracks: readonly Track[], defaultSource: string, now: number): Column[] {
  const cells = (of: (track: Track) => string): string[] => tracks.map(of);
  return [
    { title: "ID", cells: cells(({ key }) => written(key, defaultSource)), min: MIN_ID },
    { title: "TRACK", cells: cells(nameOf), min: MIN_TITLE, optional: true },
    { title: "SIZE", cells: cells(({ size }) => (size === undefined ? "?" : formatSize(size))), align: "right" },
    { title: "CACHED", cells: cells(cached), align: "right" },
    { title: "FLAGS", cells: cells(flagsOf), optional: true },
    {
      title: "PLAYED",
      cells: cells(({ lastPlayedAt }) => (lastPlayedAt === undefined ? "" : formatAgo(lastPlayedAt, now))),
      optional: true,
    },
  ];
}

/** `Artist – Title`, or what there is of it. */
function nameOf({ title, artist }: Track): string {
  return plain([artist, title].filter((part) => part !== undefined && part !== "").join(" – "));
}

function cached({ size, cachedBytes }: Track): string {
  return size === undefined ? formatSize(cachedBytes) : formatPercent(cachedBytes, size);
}

function flagsOf({ pinned, complete }: Track): string {
  return [pinned ? "pinned" : "", complete ? "complete" : ""].filter((flag) => flag !== "").join(" ");
}

function lastPlayed(one: Track, other: Track): number {
  return (other.lastPlayedAt ?? "").localeCompare(one.lastPlayedAt ?? "") || one.key.localeCompare(other.key);
}
