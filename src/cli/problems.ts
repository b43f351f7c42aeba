/** A flag, a value or a command that cannot be understood: one line, exit code 2. */
export class UsageError extends Error {}

/** Something that the user can mend outside the command line: one line, exit code 1. */
export class Failure extends Error {}

/** A failure of which stderr has had its line, or lines, already. */
export class Reported extends Error {}

const causes: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOENT: "no such file or directory",
  ENOTDIR: "not a directory",
  EISDIR: "is a directory",
  EEXIST: "is there already",
  ENOSPC: "the disk is full",
};

/** What Node.js adds to the errors of system calls, where it is there and of the right type. */
function systemFacts(error: Error): { code?: string; syscall?: string; path?: string } {
  const text = (name: string) => {
    const value: unknown = Reflect.get(error, name);
    return typeof value === "string" ? value : undefined;
  };
  const [code, syscall, path] = [text("code"), text("syscall"), text("path")];
  return { ...(code && { code }), ...(syscall && { syscall }), ...(path && { path }) };
}

/** The reason alone, for a line that already names the file. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return causes[systemFacts(error).code ?? ""] ?? error.message;
}

/** One line about `error`, for a person: what is wrong and, where that is known, what to do. */
export function explain(error: unknown, where: { host: string; port: number; cacheDir: string }): string {
  if (!(error instanceof Error)) return oneLine(String(error));
  if (error instanceof Failure) return oneLine(error.message);
  const { code = "", syscall, path } = systemFacts(error);
  const at = `${where.host} port ${where.port}`;
  if (code === "EADDRINUSE") return `${at} is taken; is Afterbay running already? Try --port 0 for a free one.`;
  if (code === "EADDRNOTAVAIL") return `${where.host} is not an address of this machine.`;
  if (code === "ENOTFOUND" && syscall === "getaddrinfo") return `${where.host} is not a host name that is known here.`;
  if (syscall === "listen") return `cannot listen on ${at}: ${reason(error)}.`;
  const cause = causes[code];
  if (cause !== undefined) return oneLine(`cannot use ${path ?? where.cacheDir}: ${cause}.`);
  return oneLine(error.message || error.name);
}

/** Whoever reads the log counts on one line a problem. */
export function oneLine(text: string): string {
  return text.trim().replaceAll(/\s*\n\s*/g, " ");
}
