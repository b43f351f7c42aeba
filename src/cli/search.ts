import type { CommandSpec } from "./command.ts";
import { Complaints } from "./complaints.ts";
import { type Found, found as foundShape } from "./control/answers.ts";
import { type Flag, one, wholeNumber } from "./flags.ts";
import { withOwner } from "./owner.ts";
import { commonFlags, ownerSettings } from "./owner-settings.ts";
import { flags } from "./serve-settings.ts";
import { UsageError } from "./problems.ts";
import { formatLength } from "./terminal/format.ts";
import { screenOf } from "./terminal/screen.ts";
import { type Column, table } from "./terminal/table.ts";
import { plain } from "./terminal/width.ts";
import { written } from "./track-id.ts";

const MAX_FOUND = 100;
/** What of an id must stay for it to be one. */
const MIN_ID = 11;
const MIN_TITLE = 12;

const limit: Flag<number> = one(
  wholeNumber(1, MAX_FOUND),
  { name: "limit", argument: "N", help: `at most so many tracks of each source (20), up to ${MAX_FOUND}` },
  20,
);

/** `afterbay search QUERY`: tracks that fit some words, where the source can search. */
export const search: CommandSpec = {
  name: "search",
  summary: "find tracks by words, where the source can search",
  argument: "<QUERY...>",
  flags: [limit, ...commonFlags, flags.sources, flags.allowPrivate],
  notes:
    "Without --source, all sources that can are searched. Beside a server, --source is\n" +
    "the name of one of its sources. What stands under ID can be played and prefetched.",
  async run(input, io) {
    const settings = await ownerSettings(input, io.env, { fetches: true, stores: false, own: [limit] });
    const words = input.args.join(" ").trim();
    if (words === "") throw new UsageError("there is nothing to search for; write some words of a title or an artist.");
    await withOwner({ ...settings, options: { ...settings.options, background: false } }, io, async (owner) => {
      const { defaultSource } = owner;
      const query = new URLSearchParams({ q: words, limit: String(settings.read(limit)) });
      if (settings.namedSource !== undefined) query.set("source", defaultSource);
      const { tracks, failed = [] } = await owner.json(
        { method: "GET", path: `/api/search?${query.toString()}` },
        foundShape,
      );
      const complaints = new Complaints(io);
      if (settings.json) io.stdout.write(`${JSON.stringify({ tracks, failed })}\n`);
      else if (tracks.length === 0) io.stdout.write("Nothing was found; try fewer or other words\n");
      else {
        const screen = screenOf(io.stdout, io.env);
        const [head = "", ...lines] = table(columns(tracks, defaultSource), screen.width);
        io.stdout.write(`${[screen.bold(head), ...lines].join("\n")}\n`);
      }
      for (const { source, code, detail } of failed) complaints.add(source, code, detail ?? code);
      complaints.end();
    });
  },
};

function columns(tracks: readonly Found[], defaultSource: string): Column[] {
  const cells = (of: (track: Found) => string | undefined): string[] => tracks.map((track) => plain(of(track) ?? ""));
  return [
    { title: "ID", cells: cells(({ key }) => written(key, defaultSource)), min: MIN_ID },
    { title: "TITLE", cells: cells(({ title }) => title), min: MIN_TITLE },
    { title: "ARTIST", cells: cells(({ artist }) => artist), min: MIN_TITLE },
    {
      title: "LENGTH",
      cells: cells(({ durationMs }) => (durationMs === undefined ? "" : formatLength(durationMs))),
      align: "right",
      optional: true,
    },
    { title: "ALBUM", cells: cells(({ album }) => album), min: MIN_TITLE, optional: true },
    { title: "CACHED", cells: cells(({ complete }) => (complete ? "yes" : "")), optional: true },
  ];
}
