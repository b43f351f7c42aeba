/** Replacements of wish lists that take their time: of those of one list, only what was asked for last counts. */
export class ListTurns {
  readonly #latest = new Map<string, object>();

  /** Begins one; the answer says whether none has begun since, and must be asked once. */
  begin(name: string): () => boolean {
    const turn = {};
    this.#latest.set(name, turn);
    return () => this.#latest.get(name) === turn && this.#latest.delete(name);
  }
}
