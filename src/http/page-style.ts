/** The page's one style sheet. It stands in the page itself, and the page's policy allows it by its hash. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #f6f4f0; --card: #ffffff; --ink: #1f2328; --faint: #616871; --line: #e2ded6;
  --whole: #0f766e; --part: #7cc4bb; --fetching: #d97706; --absent: #e6e2da;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1d2125; --ink: #e8eaed; --faint: #9aa3ad; --line: #2c3238;
    --whole: #2dd4bf; --part: #1b7a70; --fetching: #f59e0b; --absent: #343b42;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
header, main, footer { max-width: 58rem; margin: 0 auto; }
header { padding: 2rem 0 1rem; }
h1 { margin: 0; font-size: 1.6rem; letter-spacing: -0.02em; }
h2 { margin: 0 0 .75rem; font-size: 1rem; color: var(--faint); font-weight: 600; }
h3 { margin: 0; font-size: 1.05rem; font-weight: 600; overflow-wrap: anywhere; }
p { margin: 0; }
a { color: inherit; text-underline-offset: .2em; }
a:focus-visible, audio:focus-visible { outline: 3px solid var(--whole); outline-offset: 2px; }
.totals, .by, .share, footer { color: var(--faint); }
.by { overflow-wrap: anywhere; }
.by, .share, footer { font-size: .875rem; }
ol { list-style: none; margin: 0; padding: 0; display: grid; gap: .75rem; }
article, .empty { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: .875rem; }
article {
  display: grid; align-items: center; gap: .625rem .875rem; grid-template-columns: 3.25rem minmax(0, 1fr) auto;
  grid-template-areas: "cover words time" "audio audio audio" "share share share";
}
.cover { grid-area: cover; align-self: start; width: 3.25rem; height: 3.25rem; border-radius: .5rem; display: block; object-fit: cover; }
.words { grid-area: words; }
time { grid-area: time; align-self: start; color: var(--faint); font-variant-numeric: tabular-nums; }
audio { grid-area: audio; width: 100%; height: 2.5rem; display: block; }
.share { grid-area: share; display: grid; gap: .375rem; }
.share p { display: flex; justify-content: space-between; gap: 1rem; }
.share a { white-space: nowrap; }
.bar { display: block; width: 100%; height: .375rem; border-radius: .1875rem; background: var(--absent); }
.whole { fill: var(--whole); }
.part { fill: var(--part); }
.fetching { fill: var(--fetching); }
.empty { padding: 2rem 1.25rem; }
.empty p + p { margin-top: .5rem; color: var(--faint); }
footer { padding: 1.5rem 0 2.5rem; }
@media (min-width: 46rem) {
  article {
    grid-template-columns: 3.25rem minmax(0, 1fr) 20rem 4rem;
    grid-template-areas: "cover words audio time" "share share share share";
  }
  time { align-self: center; text-align: right; }
}
`;
