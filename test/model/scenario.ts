import type { Behaviour } from "../../src/chaos/upstream/behaviour.ts";

/**
 * What happens in one run, as plain data: it can be printed, shrunk and replayed.
 */
export interface Scenario {
  readonly seed: number;
  readonly tracks: readonly TrackPlan[];
  readonly store: StoreKind;
  readonly disk: DiskPlan;
  /** Budget, bytes. */
  readonly budget: number;
  readonly dataSaver: boolean;
  /** Its requests come from the server of an app, which may go on when the cache is closed. */
  readonly mounted: boolean;
  /** Bytes the pipeline asks for in one request; undefined: its default. */
  readonly maxWindow?: number | undefined;
  /** In the end, what is kept is read by another process. */
  readonly reopened: boolean;
  readonly steps: readonly Step[];
}

/** `files`: the file store, on a disk in memory; `memory`: the memory store. */
export type StoreKind = "files" | "memory";

export interface DiskPlan {
  /** Ms that an operation takes. */
  readonly latency: number;
  /** Bytes that one write takes at most. */
  readonly maxWrite: number;
}

/** How an upstream names its bytes. */
export type Naming =
  /** By the resolver's variant. */
  | "resolver"
  /** By a resolver's variant that stays the same when the bytes change; validators tell. */
  | "stale"
  | "etag"
  | "date"
  /** By nothing. */
  | "weak"
  | "none";

export interface TrackPlan {
  readonly source: "a" | "b";
  readonly size: number;
  readonly naming: Naming;
  readonly shape: "plain" | "rangeless" | "unknown-length" | "varying" | "partly-varying";
  /** 403 to larger ranges, bytes. */
  readonly rangeLimit?: number | undefined;
  /** Nothing beyond this byte, until faults end. */
  readonly wall?: number | undefined;
  readonly url: {
    /** Ms. */
    readonly life?: number | undefined;
    /** Says so. */
    readonly told: boolean;
    readonly bytes?: number | undefined;
    readonly requests?: number | undefined;
    /** What an ended URL is answered with. */
    readonly status: number;
    /** Each resolution leads to another path. */
    readonly moves: boolean;
  };
  readonly hint: "right" | "wrong" | "none";
  readonly maxWindow?: number | undefined;
  readonly typed: boolean;
  /** Ms before an answer. */
  readonly latency: number;
  /** Bytes a ms; 0: at once. */
  readonly pace: number;
  /** Bytes that arrive at once. */
  readonly piece: number;
  /** One after the other, each for the request that follows after so many good ones. */
  readonly faults: readonly { readonly skip: number; readonly fault: Fault }[];
  readonly resolves: readonly { readonly skip: number; readonly fault: ResolveFault }[];
}

export type Fault = Behaviour & {
  /** The connection fails like this. */
  readonly refuse?: string;
};

export type ResolveFault =
  | {
      readonly kind:
        | "throws"
        | "hangs"
        | "other-id"
        | "not-a-url"
        | "file-url"
        | "not-found"
        | "unplayable"
        | "nothing";
    }
  | { readonly kind: "slow"; readonly ms: number }
  | { readonly kind: "other-variant" };

export interface RangePlan {
  readonly kind: "between" | "from" | "last" | "several" | "nonsense";
  /** Taken modulo the size and a little. */
  readonly start: number;
  readonly length: number;
}

export interface ReadPlan {
  readonly kind: "read";
  readonly track: number;
  readonly low: boolean;
  readonly head: boolean;
  readonly range?: RangePlan | undefined;
  readonly ifRange: "none" | "last" | "other";
  readonly offline: boolean;
  /** Bytes a ms; 0: at once. */
  readonly speed: number;
  /** Leaves after so many bytes. */
  readonly leaveAfter?: number | undefined;
  /** Leaves after so many ms. */
  readonly leaveAt?: number | undefined;
  /** Stops reading after so many bytes for so long, ms. */
  readonly rest?: { readonly after: number; readonly ms: number } | undefined;
  /** The next step waits for its end. */
  readonly wait: boolean;
}

export type Step =
  | ReadPlan
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "jump"; readonly ms: number }
  /** The bytes of a track change; its size too, by so much. */
  | { readonly kind: "change"; readonly track: number; readonly low: boolean; readonly grow: number }
  | { readonly kind: "wish"; readonly list: number; readonly tracks: readonly number[]; readonly full: boolean }
  | { readonly kind: "pin" | "unpin"; readonly track: number }
  | { readonly kind: "budget"; readonly bytes: number }
  | { readonly kind: "evict"; readonly to: number }
  | { readonly kind: "delete" | "verify" | "expire"; readonly track: number }
  /** The upstream cannot be reached. */
  | { readonly kind: "outage"; readonly ms: number; readonly code: string }
  /** The disk refuses. */
  | { readonly kind: "disk"; readonly ms: number; readonly code: string; readonly reads: boolean }
  /** Bytes on disk go bad, where nothing has them open. */
  | {
      readonly kind: "rot";
      readonly what: "flip" | "cut" | "lose" | "map-flip" | "map-tear" | "map-lose";
      readonly at: number;
    }
  | { readonly kind: "restart" }
  | { readonly kind: "kill" }
  /** A kill, and what the system had not written is gone: of each file this much (of 1000) stays. */
  | { readonly kind: "power-loss"; readonly data: number; readonly maps: number; readonly index: number };
