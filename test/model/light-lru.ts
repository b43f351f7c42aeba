/** In the place of lru-cache, which makes room for all of its thousands at once: a run makes many, and needs a few entries. */
export class LRUCache<Key, Value> {
  readonly #max: number;
  readonly #entries = new Map<Key, Value>();

  constructor({ max }: { max: number }) {
    this.#max = max;
  }

  get(key: Key): Value | undefined {
    const value = this.#entries.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  set(key: Key, value: Value): this {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#max) break;
      this.#entries.delete(oldest);
    }
    return this;
  }

  delete(key: Key): boolean {
    return this.#entries.delete(key);
  }
}
