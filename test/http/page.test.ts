import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { ApiTrack } from "../../src/http/api-track.ts";
import { html } from "../../src/http/markup.ts";
import { renderPage } from "../../src/http/page.ts";

const MiB = 1024 * 1024;

function track(more: Partial<ApiTrack> = {}): ApiTrack {
  const bare = { cachedBytes: 0, complete: false, pinned: false, chunkSize: MiB / 2, chunks: "", spans: [] };
  return { source: "demo", id: "yaman", key: "demo/yaman", ...bare, ...more };
}

function page(...tracks: ApiTrack[]): string {
  return renderPage({ tracks, totals: { tracks: tracks.length, complete: 0, cachedBytes: 0 }, version: "1.2.3" }).html;
}

describe("the html tag", () => {
  it("escapes text and keeps markup", () => {
    const inner = html`<b>${"<&>"}</b>`;
    expect(html`<p title="${`"'`}">${inner}${[inner, inner]}${5}</p>`.markup).toBe(
      '<p title="&quot;&#39;"><b>&lt;&amp;&gt;</b><b>&lt;&amp;&gt;</b><b>&lt;&amp;&gt;</b>5</p>',
    );
  });
});

describe("the page", () => {
  it("lists each track with its names, its length and a player that loads nothing by itself", () => {
    const found = page(
      track({ title: "Yaman", artist: "A", album: "B", durationMs: 212_400 }),
      track({ id: "a/b", key: "demo/a%2Fb" }),
    );
    expect(found).toContain('<h3>Yaman</h3>\n<p class="by">A · B</p>');
    expect(found).toContain('<time datetime="PT212S">3:32</time>');
    expect(found).toContain('<audio controls preload="none" src="/stream/demo/yaman" aria-label="Yaman"></audio>');
    expect(found).toContain("<h3>a/b</h3>");
    expect(found).toContain('src="/stream/demo/a%2Fb"');
    expect(page(track({ durationMs: 5_025_000 }))).toContain("1:23:45");
  });

  it("says what is cached, in words and as a bar", () => {
    const part = page(track({ size: 8 * MiB, cachedBytes: 2.5 * MiB, chunks: "##=-..#." }));
    expect(part).toContain("31 % cached, 2.5 MB of 8 MB");
    expect(part).toContain('aria-label="31 % cached" viewBox="0 0 8 1"');
    expect(part.match(/<rect class="[^>]*>/g)).toEqual([
      '<rect class="whole" x="0" width="2" height="1"/>',
      '<rect class="part" x="2" width="1" height="1"/>',
      '<rect class="fetching" x="3" width="1" height="1"/>',
      '<rect class="whole" x="6" width="1" height="1"/>',
    ]);
    expect(page(track({ size: MiB, cachedBytes: MiB, complete: true, pinned: true, chunks: "##" }))).toContain(
      "Pinned. Plays offline, 1 MB on disk",
    );
    expect(page(track({ size: 1000 * MiB, cachedBytes: 1 }))).toContain("Less than 1 % cached, 1 byte of 1.0 GB");
    expect(page(track({ size: 1000, cachedBytes: 999 }))).toContain("99 % cached");
    expect(page(track())).toContain("<span>Not cached yet</span>");
    expect(page(track({ size: 3 * MiB }))).toContain("Not cached yet, 3 MB");
    expect(page(track({ cachedBytes: 300_000 }))).toContain("293 KB cached");
    expect(page(track())).not.toContain('class="bar"');
  });

  it("sums up", () => {
    const totals = { tracks: 1, complete: 1, cachedBytes: 7.25 * MiB, budgetBytes: 2048 * MiB };
    expect(renderPage({ tracks: [track()], totals, version: "1" }).html).toContain(
      "1 track · 1 plays offline · 7.3 MB of 2 GB on disk",
    );
    expect(page()).toContain("0 tracks · 0 play offline · 0 bytes on disk");
  });

  it("writes the empty state out", () => {
    expect(page()).toContain("No tracks yet.");
    expect(page()).not.toContain("<ol>");
  });

  it("escapes everything that comes from data", () => {
    const evil = `"><script>alert('x')</script>&`;
    const found = page(
      track({
        id: evil,
        key: evil,
        title: evil,
        artist: evil,
        album: evil,
        contentType: evil,
        variant: evil,
        chunks: `#${evil}`,
        artwork: `/${evil}`,
      }),
    );
    expect(found).not.toMatch(/<script|alert\('/);
    expect(found).toContain("&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;");
    expect(
      renderPage({ tracks: [], totals: { tracks: 0, complete: 0, cachedBytes: 0 }, version: evil }).html,
    ).not.toContain("<script");
  });

  it("shows artwork of this server only, else a picture of its own", () => {
    expect(page(track({ artwork: "/api/tracks/demo/yaman/artwork" }))).toContain(
      '<img class="cover" src="/api/tracks/demo/yaman/artwork" alt=""',
    );
    for (const artwork of ["https://img.example/a.jpg", "//img.example/a.jpg", "javascript:alert(1)"]) {
      const found = page(track({ artwork }));
      expect(found).not.toContain("<img");
      expect(found).toContain('<svg class="cover"');
    }
    expect(page(track())).toBe(page(track()));
  });

  it("keeps to its policy: one style sheet, known by its hash, no script, no inline handlers or styles", () => {
    const { html: found, csp } = renderPage({
      tracks: [track()],
      totals: { tracks: 1, complete: 0, cachedBytes: 0 },
      version: "1",
    });
    const styles = Array.from(found.matchAll(/<style>([^]*?)<\/style>/g), (match) => match[1] ?? "");
    expect(styles).toHaveLength(1);
    expect(csp).toContain(
      `style-src 'sha256-${createHash("sha256")
        .update(styles[0] ?? "")
        .digest("base64")}'`,
    );
    expect(csp).toContain("default-src 'none'");
    expect(csp).not.toMatch(/unsafe|script-src|[\r\n]/);
    expect(found).not.toMatch(/<script|\son[a-z]+=|\sstyle=|https?:/);
  });
});
