/** The first and the last items of a list that may grow long, and how many were left out between them. */
export class Ends<Item> {
  readonly #head: Item[] = [];
  readonly #tail: Item[] = [];
  readonly #headSize: number;
  readonly #tailSize: number;
  /** Where in the tail the oldest item is, once the tail is full. */
  #oldest = 0;
  #dropped = 0;

  constructor(headSize: number, tailSize: number) {
    this.#headSize = headSize;
    this.#tailSize = tailSize;
  }

  get dropped(): number {
    return this.#dropped;
  }

  push(item: Item): void {
    if (this.#head.length < this.#headSize) this.#head.push(item);
    else if (this.#tail.length < this.#tailSize) this.#tail.push(item);
    else {
      this.#tail[this.#oldest] = item;
      this.#oldest = (this.#oldest + 1) % this.#tailSize;
      this.#dropped += 1;
    }
  }

  /** In the order in which they came. */
  *[Symbol.iterator](): Generator<Item> {
    yield* this.#head;
    yield* this.#tail.slice(this.#oldest);
    yield* this.#tail.slice(0, this.#oldest);
  }

  last(): Item | undefined {
    return this.#tail.at(this.#oldest - 1) ?? this.#head.at(-1);
  }
}
