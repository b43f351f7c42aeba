import { describe, expect, it } from "vitest";
import { nameIn, readName, written } from "../../../src/resolvers/youtube/names.ts";

const ID = "dQw4w9WgXcQ";
const PL = "PLrAXtmErZgOeiKm4sgNOknGvNjby9efdf";
const ALBUM = "MPREb_4pL8gzRtw1p";

describe("names at YouTube", () => {
  it.each([
    [ID, ID],
    [`https://music.youtube.com/watch?v=${ID}&si=abc`, ID],
    [`https://www.youtube.com/watch?v=${ID}&list=${PL}&index=3`, ID],
    [`https://youtu.be/${ID}?t=10`, ID],
    [`https://youtu.be/${ID}?list=${PL}`, ID],
    [`https://m.youtube.com/shorts/${ID}`, ID],
    [`HTTPS://WWW.YOUTUBE.COM/embed/${ID}`, ID],
    [`https://music.youtube.com/playlist?list=${PL}`, `playlist:${PL}`],
    [`https://www.youtube.com/watch?list=${PL}`, `playlist:${PL}`],
    [`https://music.youtube.com/playlist?list=RDAMVM${ID}`, `playlist:RDAMVM${ID}`],
    ["https://music.youtube.com/playlist?list=OLAK5uy_abc", "playlist:OLAK5uy_abc"],
    [`https://music.youtube.com/browse/VL${PL}`, `playlist:${PL}`],
    [`https://music.youtube.com/browse/${ALBUM}`, `album:${ALBUM}`],
    [`playlist:${PL}`, `playlist:${PL}`],
    [`playlist:VL${PL}`, `playlist:${PL}`],
    [`playlist:https://music.youtube.com/playlist?list=${PL}`, `playlist:${PL}`],
    [`playlist:https://youtu.be/watch?list=${PL}`, undefined],
    [`playlist:https://youtu.be/${ID}`, undefined],
    ["album:OLAK5uy_abc", "playlist:OLAK5uy_abc"],
    [`album:${ALBUM}`, `album:${ALBUM}`],
    [`radio:${ID}`, `radio:${ID}`],
    [`radio:https://youtu.be/${ID}`, `radio:${ID}`],
    [`radio:radio:${ID}`, undefined],
    [`radio:${PL}`, undefined],
    ["playlist:", undefined],
    ["playlist:../x", undefined],
    [`playlist:${"x".repeat(101)}`, undefined],
    ["short", undefined],
    [`https://example.com/watch?v=${ID}`, undefined],
    [`https://youtube.com.evil.example/watch?v=${ID}`, undefined],
    [`https://youtube.com@evil.example/watch?v=${ID}`, undefined],
    [`ftp://youtube.com/watch?v=${ID}`, undefined],
    ["https://music.youtube.com/channel/UC0123456789", undefined],
    ["https://music.youtube.com/browse/UC0123456789/x", undefined],
    ["https://[", undefined],
  ])("%s is %s", (text, expected) => {
    const named = nameIn(text);
    expect(named && written(named)).toBe(expected);
    // One name: what it becomes stays what it is.
    if (named !== undefined) expect(readName(written(named))).toEqual(named);
    else expect(() => readName(text)).toThrow(expect.objectContaining({ code: "not-found" }));
  });

  it("knows what is made as it plays from what editors made", () => {
    expect(readName("playlist:RDCLAK5uy_abc").kind).toBe("playlist");
    expect(readName("playlist:RDEMabc").kind).toBe("mix");
  });
});
