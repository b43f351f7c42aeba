/** Names the exact bytes of a track: what was asked for, and which version of it. */
export interface VariantName {
  readonly source: string;
  readonly id: string;
  readonly variant: string;
}
