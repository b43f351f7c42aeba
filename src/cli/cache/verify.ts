import type { CommandSpec } from "../command.ts";
import { verifyLine } from "../control/answers.ts";
import { toggle } from "../flags.ts";
import { withOwner } from "../owner.ts";
import { ownerSettings, upstreamFlags } from "../owner-settings.ts";
import { Failure } from "../problems.ts";
import { count, formatSize } from "../terminal/format.ts";
import { LiveRegion } from "../terminal/live-region.ts";
import { screenOf } from "../terminal/screen.ts";
import { written } from "../track-id.ts";

const repair = toggle({ name: "repair", help: "fetch what is damaged again" });

/** `afterbay cache verify`: reads everything that is kept and holds it against its checksums. */
export const verify: CommandSpec = {
  name: "verify",
  summary: "check every stored byte",
  flags: [repair, ...upstreamFlags],
  notes: "With --json, each line is one track, the last one the sum. Exits 1 if damage was\nfound and is still there.",
  async run(input, io) {
    // Only who names a budget here can want room to be made.
    const stores = input.given("cache-size").length > 0;
    const settings = await ownerSettings(input, io.env, { fetches: true, stores, own: [repair] });
    const screen = screenOf(io.stdout, io.env);
    const region = screen.live && !settings.json ? new LiveRegion(io.stdout) : undefined;
    await withOwner(settings, io, async (owner) => {
      let seen = 0;
      let left = 0;
      let ended = false;
      const tell = (line: string): void =>
        region === undefined ? void io.stdout.write(`${line}\n`) : region.print(line);
      const request = { method: "POST", path: "/control/verify", body: { repair: settings.read(repair) } } as const;
      try {
        for await (const line of owner.lines(request, verifyLine)) {
          if (settings.json) io.stdout.write(`${JSON.stringify(line)}\n`);
          if ("done" in line) {
            ended = true;
            region?.clear();
            if (!settings.json) io.stdout.write(`${count(line.checked, "track")} checked, ${line.bad} damaged\n`);
            continue;
          }
          seen += 1;
          if (!line.ok) {
            if (line.repaired !== true) left += 1;
            const fate = line.repaired === true ? screen.green("repaired") : screen.red("damaged");
            if (!settings.json) {
              tell(`${fate} ${written(line.key, owner.defaultSource)}, ${formatSize(line.badBytes)} were bad`);
            }
          }
          region?.show([`checking… ${count(seen, "track")} so far`]);
        }
      } finally {
        region?.clear();
      }
      if (!ended) throw new Failure("the server ended before everything was checked.");
      if (left > 0) throw new Failure(`${count(left, "track")} damaged: ${advice(settings.read(repair))}.`);
    });
  },
};

function advice(tried: boolean): string {
  return tried
    ? "the damaged bytes could not be fetched again"
    : "cache verify --repair fetches the damaged bytes again";
}
