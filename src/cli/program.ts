import { Command, CommanderError } from "commander";
import { cacheCommands } from "./cache/commands.ts";
import { chaos } from "./chaos.ts";
import { addCommand, type CommandSpec } from "./command.ts";
import { Interrupted } from "./interruptible.ts";
import type { Io } from "./io.ts";
import { play } from "./play.ts";
import { prefetch } from "./prefetch.ts";
import { Failure, oneLine, Reported, UsageError } from "./problems.ts";
import { search } from "./search.ts";
import { serve } from "./serve.ts";
import { serveFlags } from "./serve-settings.ts";
import { version } from "../version.ts";

const serveCommand: CommandSpec = {
  name: "serve",
  summary: "run the server",
  flags: serveFlags,
  run: ({ given }, io) => serve(given, io),
};

/**
 * Runs one command line, without the program's own name. Answers the exit code: 1 for a failure, 2 for misuse, else 0,
 * also where a signal ended it.
 */
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

  for (const command of [serveCommand, play, prefetch, search, chaos]) addCommand(program, command, io);
  const cache = program.command("cache").description("see and change what is kept").version(version);
  for (const command of cacheCommands) addCommand(cache, command, io);

  try {
    await program.parseAsync(argv, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof Interrupted) {
      complain(error.message);
      return 0;
    }
    if (error instanceof Reported) return 1;
    if (error instanceof UsageError || error instanceof Failure) {
      complain(error.message);
      return error instanceof UsageError ? 2 : 1;
    }
    throw error;
  }
}
