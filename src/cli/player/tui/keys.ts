const ESC = "\x1b";
/** Escape sequences of keys (ECMA-48 and xterm), or any one character. */
const KEYS = new RegExp(String.raw`${ESC}\[([\d;]*)([A-Za-z~])|${ESC}O([A-Za-z])|[^]`, "gu");
const BEGUN = new RegExp(String.raw`${ESC}(?:\[[\d;]*|O)?$`);
const BY_LETTER: Readonly<Record<string, string>> = {
  A: "up",
  B: "down",
  C: "right",
  D: "left",
  F: "end",
  H: "home",
  Z: "backtab",
};
const BY_NUMBER: Readonly<Record<string, string>> = {
  "1": "home",
  "3": "delete",
  "4": "end",
  "5": "pageup",
  "6": "pagedown",
  "7": "home",
  "8": "end",
};
const BY_CONTROL: Readonly<Record<string, string>> = {
  "\r": "enter",
  "\n": "enter",
  "\t": "tab",
  "\x7f": "backspace",
  "\b": "backspace",
  "\x1b": "escape",
  " ": "space",
};
/** The second number of a sequence is 1 more than the sum of its modifiers; Shift is 1. */
const SHIFT = /^\d*;(?:2|4|6|8)$/;

/** What was typed, key by key: `up`, `shift-left`, `enter`, `ctrl-c`, or the character itself. Unknown sequences are none. */
export function keysOf(text: string): string[] {
  return [...text.matchAll(KEYS)].flatMap(([all, numbers, final, single]) => {
    const letter = final ?? single;
    if (letter === undefined) return [BY_CONTROL[all] ?? controlOf(all)];
    const name = letter === "~" ? BY_NUMBER[(numbers ?? "").split(";")[0] ?? ""] : BY_LETTER[letter];
    if (name === undefined) return [];
    return [SHIFT.test(numbers ?? "") ? `shift-${name}` : name];
  });
}

/** Where the beginning of a key is whose end is still on its way; the text's length: there is none. */
export function unfinishedIn(text: string): number {
  return BEGUN.exec(text)?.index ?? text.length;
}

/** `ctrl-a` for what Control makes of a letter. */
function controlOf(character: string): string {
  const code = character.charCodeAt(0);
  return code < 27 ? `ctrl-${String.fromCharCode(code + 96)}` : character;
}
