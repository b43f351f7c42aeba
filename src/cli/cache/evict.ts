import type { CommandSpec } from "../command.ts";
import { evicted } from "../control/answers.ts";
import { one, size, toggle } from "../flags.ts";
import { withOwner } from "../owner.ts";
import { commonFlags, ownerSettings } from "../owner-settings.ts";
import { Failure, UsageError } from "../problems.ts";
import { count, formatAgo, formatSize } from "../terminal/format.ts";
import { screenOf } from "../terminal/screen.ts";
import { table } from "../terminal/table.ts";
import { written } from "../track-id.ts";

const to = one(size, { name: "to", argument: "SIZE", help: "how much may stay, like 500M" }, undefined);
const dryRun = toggle({ name: "dry-run", help: "only tell what would go" });

/** `afterbay cache evict --to SIZE`: makes room, the tracks longest not played first. */
export const evict: CommandSpec = {
  name: "evict",
  summary: "make room: the tracks longest not played go first",
  flags: [to, dryRun, ...commonFlags],
  async run(input, io) {
    const settings = await ownerSettings(input, io.env, { fetches: false, stores: false, own: [to, dryRun] });
    const [target, dry] = [settings.read(to), settings.read(dryRun)];
    if (target === undefined) throw new UsageError("cache evict needs --to SIZE.");
    await withOwner(settings, io, async (owner) => {
      const body = { to: target, dryRun: dry };
      const done = await owner.json({ method: "POST", path: "/control/evict", body }, evicted);
      if (settings.json) {
        io.stdout.write(`${JSON.stringify(done)}\n`);
      } else {
        const screen = screenOf(io.stdout, io.env);
        const name = (key: string): string => written(key, owner.defaultSource);
        const rows = [
          ...done.victims.map(({ key, bytes, playedAt }) => [
            dry ? "would go" : "gone",
            name(key),
            formatSize(bytes),
            why(playedAt),
          ]),
          ...done.spared.map(({ key, why: reason }) => ["stays", name(key), "", reason]),
        ];
        const cells = (index: number): string[] => rows.map((row) => row[index] ?? "");
        const [, ...lines] = table(
          [
            { title: "", cells: cells(0) },
            { title: "", cells: cells(1), min: 8 },
            { title: "", cells: cells(2), align: "right" },
            { title: "", cells: cells(3), optional: true },
          ],
          screen.width,
        );
        const sum = `${count(done.victims.length, "track")} ${dry ? "would go" : "gone"}: ${formatSize(done.before)} → ${formatSize(done.after)}`;
        io.stdout.write(`${[...lines, screen.dim(sum)].join("\n")}\n`);
      }
      if (!dry && done.after > target) {
        throw new Failure(`${formatSize(done.after)} are still kept: what is left is pinned or in use.`);
      }
    });
  },
};

function why(playedAt: string | undefined): string {
  return playedAt === undefined ? "never played" : `played ${formatAgo(playedAt, Date.now())}`;
}
