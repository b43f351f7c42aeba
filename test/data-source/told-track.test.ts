import { expect, it } from "vitest";
import { toldTrack } from "../../src/data-source/told-track.ts";

it("takes what it should be", () => {
  const whole = {
    id: "a",
    title: "T",
    artist: "A",
    album: "L",
    contentType: "audio/ogg",
    durationMs: 1000,
    size: 5,
    artwork: "https://x/y",
    loudnessDb: -7,
  };
  expect(toldTrack({ ...whole, other: 1 })).toEqual(whole);
});

it("leaves out what it should not be, and makes labels fit to be shown", () => {
  const odd = { title: 5, artist: " ", album: null, durationMs: "1", size: Number.NaN, loudnessDb: Infinity };
  expect(toldTrack({ id: "a", ...odd })).toEqual({ id: "a" });
  expect(toldTrack({ id: "a", title: "x\u001b[31m\ny" })).toEqual({ id: "a", title: "x [31m y" });
  expect(toldTrack({ id: "a", title: "🎵".repeat(400) })?.title).toBe("🎵".repeat(300));
});

it.each([
  "javascript:alert(1)",
  "https://u:p@x/y",
  "https://x/ y",
  `https://x/${"y".repeat(1100)}`,
  "//x/y",
  "https://[",
  5,
])("%s is no artwork", (artwork) => {
  expect(toldTrack({ id: "a", artwork })).toEqual({ id: "a" });
});

it.each([undefined, null, "a", 5, [], {}, { id: 5 }, { id: "" }])("%j is no track", (value) => {
  expect(toldTrack(value)).toBeUndefined();
});
