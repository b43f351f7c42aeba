/** HTML that is safe to send. Only {@link html} makes it, so that nothing gets into a page without being escaped. */
export interface Markup {
  readonly markup: string;
}

/** What may stand in a template: text, which is escaped, or markup, which is not. */
type Part = string | number | Markup | readonly Markup[];

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

export const nothing: Markup = { markup: "" };

/** A template tag. Text is escaped for element content and for attributes within quotes, which a template must write. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return { markup: String.raw({ raw: strings }, ...parts.map(markupOf)) };
}

function markupOf(part: Part): string {
  if (typeof part === "string" || typeof part === "number") return escape(String(part));
  return "markup" in part ? part.markup : part.map(({ markup }) => markup).join("");
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? "");
}
