/** A player script of a fake YouTube: what it holds, and what the servers know of it. */
export interface FakeScript {
  readonly id: string;
  readonly signatureTimestamp: number;
  /** base.js */
  readonly source: string;
  /** What `s` has to be for the script to make `signature` of it. */
  scramble(signature: string): string;
  /** What the script makes of `n`. */
  transform(n: string): string;
}

/** How far letters are moved, and which two are exchanged: each version of the script has its own. */
export function makeScript(version: number): FakeScript {
  const swap = 3 + version;
  const turn = 5 + version;
  const id = `f${version.toString(16).padStart(7, "0")}`;
  const signatureTimestamp = 20_400 + version;
  return {
    id,
    signatureTimestamp,
    source: source(swap, turn, signatureTimestamp),
    scramble(signature) {
      const letters = Array.from(`zz${signature}`);
      exchange(letters, swap);
      return letters.toReversed().join("");
    },
    transform: (n) =>
      Array.from(n, (letter) => turned(letter, turn))
        .toReversed()
        .join(""),
  };
}

function exchange(letters: string[], swap: number): void {
  const at = swap % letters.length;
  [letters[0], letters[at]] = [letters[at] as string, letters[0] as string];
}

function turned(letter: string, by: number): string {
  return String.fromCharCode(97 + ((letter.charCodeAt(0) - 97 + by) % 26));
}

/** In the manner of YouTube's: an outer function, helpers that are found by their use, and much that is not needed. */
function source(swap: number, turn: number, signatureTimestamp: number): string {
  return `var _yt_player={};(function(g){var window=this;
var unused=window.document&&window.document.createElement("video");
var Tk={XY:function(a){a.reverse()},Qd:function(a,b){a.splice(0,b)},w3:function(a,b){var c=a[0];a[0]=a[b%a.length];a[b%a.length]=c}};
var Sig=function(a){a=a.split("");Tk.XY(a,7);Tk.w3(a,${swap});Tk.Qd(a,2);return a.join("")};
var Nn=function(a){return a.split("").map(function(b){return String.fromCharCode(97+(b.charCodeAt(0)-97+${turn})%26)}).reverse().join("")};
g.U=class{constructor(a){this.address=a;this.values={};var self=this;(a.split("?")[1]||"").split("&").forEach(function(b){var c=b.indexOf("=");c>0&&(self.values[b.slice(0,c)]=decodeURIComponent(b.slice(c+1)))})}
set(a,b){this.values[a]=b}get(a){return this.values[a]}clone(){return this}
finish(){this.values.n&&(this.values.n=Nn(this.values.n))}};
var S=function(a,b="",c=""){a=new g.U(a);a.set("alr","yes");c&&(c=Sig(decodeURIComponent(c)),a.set(b,encodeURIComponent(c)));return a};
var Ts=function(){return{signatureTimestamp:${signatureTimestamp}}};
g.start=function(){return S(unused,"",Ts())}})(_yt_player);`;
}
