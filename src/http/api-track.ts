/** A track as the API shows it; the fields are those of the contract. */
export interface ApiTrack {
  readonly source: string;
  readonly id: string;
  /** `source/id`, each part percent-encoded. */
  readonly key: string;
  readonly title?: string;
  readonly artist?: string;
  readonly album?: string;
  readonly durationMs?: number;
  readonly artwork?: string;
  readonly loudnessDb?: number;
  readonly variant?: string;
  readonly contentType?: string;
  /** Bytes. */
  readonly size?: number;
  readonly cachedBytes: number;
  readonly complete: boolean;
  readonly pinned: boolean;
  /** Bytes. */
  readonly chunkSize: number;
  /**
   * One character per chunk: `#` whole on disk, `=` partly, `-` being fetched, `.` absent. Empty where the size is not
   * known, and in a listing of very many tracks.
   */
  readonly chunks: string;
  /** Stored stretches, [start, end) in bytes. */
  readonly spans: readonly (readonly [number, number])[];
  /** ISO 8601. */
  readonly lastPlayedAt?: string;
}
