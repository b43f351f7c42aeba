import type { Output } from "../io.ts";
import type { Environment } from "../settings.ts";

type Style = (text: string) => string;

/** What may be written to an output. */
export interface Screen {
  /** Lines may be rewritten. */
  readonly live: boolean;
  /** Columns of a terminal; absent elsewhere, where lines may be of any length. */
  readonly width: number | undefined;
  /** Characters outside ASCII come out right. */
  readonly unicode: boolean;
  readonly bold: Style;
  readonly dim: Style;
  readonly green: Style;
  readonly red: Style;
  readonly cyan: Style;
  readonly magenta: Style;
  readonly inverse: Style;
}

const DEFAULT_WIDTH = 80;

/** Colours follow https://no-color.org. */
export function screenOf(output: Output, env: Environment): Screen {
  const terminal = output.isTTY === true;
  const dumb = env.TERM === "dumb";
  const color = terminal && !dumb && (env.NO_COLOR ?? "") === "";
  const style =
    (code: number): Style =>
    (text) =>
      color && text !== "" ? `\x1b[${code}m${text}\x1b[0m` : text;
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || "";
  return {
    live: terminal && !dumb,
    width: terminal ? (output.columns ?? DEFAULT_WIDTH) || DEFAULT_WIDTH : undefined,
    // Where the system says nothing, terminals of this century are UTF-8; "C" and "ISO-8859-1" say something.
    unicode: terminal && (locale === "" || /utf-?8/i.test(locale)),
    bold: style(1),
    dim: style(2),
    green: style(32),
    red: style(31),
    cyan: style(36),
    magenta: style(35),
    inverse: style(7),
  };
}
