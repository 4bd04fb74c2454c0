// Colours for code, one line at a time: comments, strings, numbers, keywords, calls. It guesses and never
// gets in the way: what it doesn't know stays plain, and a language without an entry still gets the rest.

import { LEXICON } from "./lexicon.js";

const LINE_MAX = 2000; // longer lines stay plain

export class Highlighter {
  #words;
  #spans;
  #pattern;
  #ends;

  constructor(language) {
    const { line = [], spans = [], vars, word = /[A-Za-z_$][\w$]*/, words = "", indent = "    " } = LEXICON[language] ?? {};
    this.indent = indent;
    this.#words = new Set(words.split(/\s+/));
    this.#spans = spans;
    this.#ends = spans.map(([, close, kind, raw]) => {
      const inside = kind === "str" && !raw ? "(?:\\\\.|[^\\\\])*?" : "[^]*?";
      return new RegExp(inside + escape(close), "y");
    });
    const parts = [
      ["com", line.map((start) => `${escape(start)}.*`).join("|")],
      ["span", spans.map(([open]) => escape(open)).join("|")],
      ["str", `"(?:\\\\.|[^"\\\\])*"?|'(?:\\\\.|[^'\\\\])*'?`],
      ["var", vars?.source],
      ["num", `\\b(?:0[xXbBoO][\\da-fA-F_]+|\\d[\\d_]*(?:\\.\\d+)?(?:[eE][+-]?\\d+)?)\\w*`],
      ["word", word.source],
    ];
    this.#pattern = new RegExp(
      parts.filter(([, source]) => source).map(([name, source]) => `(?<${name}>${source})`).join("|"),
      "g",
    );
  }

  // The pieces of one line, [class or "", text], and the span (-1: none) that is open after it.
  line(text, open) {
    const pieces = [];
    let at = 0;
    if (text.length > LINE_MAX) return { pieces: [["", text]], open };
    if (open >= 0) {
      at = this.#spanEnd(text, 0, open);
      if (at < 0) return { pieces: [[this.#spans[open][2], text]], open };
      pieces.push([this.#spans[open][2], text.slice(0, at)]);
    }
    this.#pattern.lastIndex = at;
    for (let match; (match = this.#pattern.exec(text)); ) {
      if (match.index > at) pieces.push(["", text.slice(at, match.index)]);
      const [found] = match;
      const kind = Object.keys(match.groups).find((name) => match.groups[name] !== undefined);
      let end = match.index + found.length;
      if (kind === "span") {
        const index = this.#spans.findIndex(([start]) => start === found);
        end = this.#spanEnd(text, end, index);
        if (end < 0) {
          pieces.push([this.#spans[index][2], text.slice(match.index)]);
          return { pieces, open: index };
        }
        pieces.push([this.#spans[index][2], text.slice(match.index, end)]);
      } else {
        pieces.push([kind === "word" ? this.#wordClass(found, text, end) : kind, found]);
      }
      at = this.#pattern.lastIndex = end;
    }
    if (at < text.length) pieces.push(["", text.slice(at)]);
    return { pieces, open: -1 };
  }

  #spanEnd(text, from, index) {
    const end = this.#ends[index];
    end.lastIndex = from;
    return end.test(text) ? end.lastIndex : -1;
  }

  #wordClass(word, text, end) {
    if (this.#words.has(word)) return "kw";
    return text[end] === "(" ? "fn" : "";
  }
}

function escape(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
