import { Command, CommanderError, Option } from "commander";
import type { Flag } from "./flags.ts";
import type { Io } from "./io.ts";
import { Failure, oneLine, UsageError } from "./problems.ts";
import { serve } from "./serve.ts";
import { serveFlags } from "./serve-settings.ts";
import { version } from "./version.ts";

/** Runs one command line, without the program's own name. Answers the exit code: 0, 1 for a failure, 2 for misuse. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const complain = (line: string) => io.stderr.write(`afterbay: ${oneLine(line)}\n`);
  const program = new Command("afterbay")
    .description("A streaming cache for music: songs play at once and stay on disk.")
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: (text) => complain(text.replace(/^error: /, "")),
    })
    .exitOverride()
    .version(version);

  addCommand(program, "serve", "run the server", serveFlags, (given) => serve(given, io));

  try {
    await program.parseAsync(argv, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof UsageError || error instanceof Failure) {
      complain(error.message);
      return error instanceof UsageError ? 2 : 1;
    }
    throw error;
  }
}

/** Commander finds the flags and says what is unknown; what values mean is settled with the other settings. */
function addCommand(
  program: Command,
  name: string,
  description: string,
  flags: readonly Flag<unknown>[],
  action: (given: (name: string) => readonly string[]) => Promise<void>,
): void {
  const given = new Map<string, string[]>();
  const command = program.command(name).description(description).version(version);
  for (const flag of flags) {
    const value = flag.argument === undefined ? "" : ` <${flag.argument}>`;
    const option = new Option(`--${flag.name}${value}`, `${flag.help}${flag.many ? "; may be repeated" : ""}`);
    command.addOption(option);
    command.on(`option:${flag.name}`, (text: string | null) => {
      given.set(flag.name, [...(given.get(flag.name) ?? []), text ?? "true"]);
    });
  }
  command.addHelpText(
    "after",
    "\nEach flag may also stand in the environment, as AFTERBAY_<FLAG>, or in the config file.",
  );
  command.action(() => action((flag) => given.get(flag) ?? []));
}
