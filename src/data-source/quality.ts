/** How much of its upstream's bytes a track may cost, from least to most; what each stands for is the source's to say. */
export const QUALITIES = ["low", "medium", "high", "ultra"] as const;
export type Quality = (typeof QUALITIES)[number];
