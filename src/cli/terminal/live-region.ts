import type { Output } from "../io.ts";
import { truncate } from "./width.ts";

const UP = (lines: number): string => (lines > 0 ? `\x1b[${lines}A` : "");
const CLEAR_BELOW = "\r\x1b[J";

/** The last lines of a terminal, rewritten in place; what is printed moves up above them. */
export class LiveRegion {
  readonly #output: Output;
  #shown: readonly string[] = [];

  constructor(output: Output) {
    this.#output = output;
  }

  /** Replaces the lines at the end. They hold no colours: they are cut to the terminal's width. */
  show(lines: readonly string[]): void {
    // A line that wraps, or fills the last column, would upset the count of lines.
    const width = (this.#output.columns ?? 80) - 1;
    const cut = lines.map((line) => truncate(line, width));
    if (cut.length === this.#shown.length && cut.every((line, index) => line === this.#shown[index])) return;
    this.#write("", cut);
  }

  /** Prints a line that stays. */
  print(line: string): void {
    this.#write(`${line}\n`, this.#shown);
  }

  /** Takes the lines at the end away. */
  clear(): void {
    if (this.#shown.length > 0) this.#write("", []);
  }

  /** In one write, so that nothing flickers. */
  #write(above: string, below: readonly string[]): void {
    const text = below.map((line) => `${line}\n`).join("");
    this.#output.write(`${UP(this.#shown.length)}${this.#shown.length > 0 ? CLEAR_BELOW : ""}${above}${text}`);
    this.#shown = below;
  }
}
