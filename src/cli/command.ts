import { type Command, Option } from "commander";
import type { Flag } from "./flags.ts";
import type { Io } from "./io.ts";
import { version } from "../version.ts";

/** What a command line says. */
export interface Input {
  /** The words that are no flags, in order. */
  readonly args: readonly string[];
  /** Every value given for a flag, in order. */
  readonly given: (name: string) => readonly string[];
}

/** One command, as the help shows it and as it runs. */
export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  /** As Commander writes it: `<ID>`, `<ID...>`. Absent: the command takes flags only. */
  readonly argument?: string;
  readonly flags: readonly Flag<unknown>[];
  /** Stands below the flags in the help. */
  readonly notes?: string;
  run(input: Input, io: Io): Promise<void>;
}

const everywhere = "Each flag may also stand in the environment, as AFTERBAY_<FLAG>, or in the\nconfig file.";

/** Commander finds the flags and says what is unknown; what values mean is settled with the other settings. */
export function addCommand(parent: Command, spec: CommandSpec, io: Io): void {
  const given = new Map<string, string[]>();
  const command = parent.command(spec.name).description(spec.summary).version(version);
  if (spec.argument !== undefined) command.argument(spec.argument);
  for (const flag of spec.flags) {
    const short = flag.short === undefined ? "" : `-${flag.short}, `;
    const value = flag.argument === undefined ? "" : ` <${flag.argument}>`;
    const help = `${flag.help}${flag.many ? "; may be repeated" : ""}`;
    command.addOption(new Option(`${short}--${flag.name}${value}`, help));
    command.on(`option:${flag.name}`, (text: string | null) => {
      given.set(flag.name, [...(given.get(flag.name) ?? []), text ?? "true"]);
    });
  }
  command.addHelpText("after", `\n${spec.notes === undefined ? "" : `${spec.notes}\n\n`}${everywhere}`);
  command.action(() => spec.run({ args: command.args, given: (flag) => given.get(flag) ?? [] }, io));
}
