import type { DataSource, DataSpec } from "../../../src/data-source/data-source.ts";

export interface Wanted {
  readonly position: number;
  /** Exclusive. */
  readonly end?: number;
}

/** What an implementation of DataSource shows of itself to be checked. */
export interface DataSourceFixture<Spec extends DataSpec = DataSpec> {
  readonly source: DataSource<Spec>;
  /** A spec for these bytes of the resource under test, with a `need` of its own. */
  readonly spec: (wanted: Wanted) => Spec;
  /** The whole resource: at least 200 KiB, so that a body takes several reads. */
  readonly bytes: Uint8Array;
  /** The upstream behind it. Without one, the checks that need it are skipped. */
  readonly upstream?: UpstreamControl;
  readonly close: () => Promise<void>;
}

/** How the upstream answers every request from then on. */
export interface UpstreamControl {
  /** The requests that it is answering. */
  readonly live: () => number;
  readonly hangBeforeHeaders: () => void;
  /** Every body stops after its first `count` bytes, with the socket open. */
  readonly hangAfter: (count: number) => void;
  /** `open` must throw, or the body. Retries, where there are any, must be quick. */
  readonly fail: () => void;
}
