/** A fault's `do`, as JSON. */
type Do = Readonly<Record<string, unknown>>;
/** A track of a script, as JSON. */
export type TrackJson = Readonly<Record<string, unknown>>;
export type TracksJson = Readonly<Record<string, TrackJson>>;

/** Every byte comes to the player. */
export const plays = (about: string, track: TrackJson = {}): TrackJson => ({ about, expect: "plays", ...track });

/** Anything else: the code of an error, or `cut`: the bytes up to a place, and then a closed connection. */
export const ends = (expect: string, about: string, track: TrackJson): TrackJson => ({ about, expect, ...track });

/** The fault, for the first request that `when` holds for. */
export const once = (fault: Do, when?: Do): TrackJson => ({ faults: [{ ...(when && { when }), times: 1, do: fault }] });

/** The fault, for every request that `when` holds for. */
export const always = (fault: Do, when?: Do): TrackJson => ({ faults: [{ ...(when && { when }), do: fault }] });

/** For the first call of the resolver. */
export const resolvesOnce = (answer: Do): TrackJson => ({ resolve: [{ times: 1, do: answer }] });

export const resolvesAlways = (answer: Do): TrackJson => ({ resolve: [{ do: answer }] });

/** A place that lies in the first window of Afterbay's, and one that lies in the second. */
export const EARLY = 200_000;
export const LATE = 700_000;
/** Afterbay's second window begins here. */
export const CHUNK = 512 * 1024;
