import type { Output } from "../io.ts";

/** Texts that are kept; what is older is not worth reading any more. */
const KEPT = 200;

/** Keeps what is written while the terminal belongs to something else, for when it is free again. */
export class HeldOutput implements Output {
  readonly #output: Output;
  #held: string[] = [];

  constructor(output: Output) {
    this.#output = output;
  }

  get isTTY(): boolean {
    return this.#output.isTTY === true;
  }

  write(text: string): void {
    this.#held = [...this.#held.slice(1 - KEPT), text];
  }

  /** Writes what was kept. */
  release(): void {
    for (const text of this.#held.splice(0)) this.#output.write(text);
  }
}
