import type { Library } from "./library.ts";

/** What is kept of a player script: plain data, which can be sent between threads. */
export interface ReadScript {
  readonly id: string;
  readonly signatureTimestamp: number;
  readonly data: NonNullable<InstanceType<Library["Player"]>["data"]>;
}

/**
 * Fetches the player script in use now and cuts out of it what makes signatures and `n`: by reading, not by running it.
 * Takes three seconds of one core and 250 MB for a script of 2.6 MB.
 */
export async function readScript({ Player }: Library, fetch: typeof globalThis.fetch): Promise<ReadScript> {
  const { player_id: id, signature_timestamp: signatureTimestamp, data } = await Player.create(undefined, fetch);
  if (data === undefined || !data.exported.includes("nsigFunction")) throw new Error("Nothing was found in it");
  return { id, signatureTimestamp, data };
}
