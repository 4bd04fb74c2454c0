// A textarea that feels like an editor. The textarea holds the text, caret, selection and undo; its letters
// are transparent, and the same letters are painted in colour below it. Both lie in one scroller and the
// painted text gives the size, so nothing has to be kept in step while scrolling.

import { Highlighter } from "./highlight.js";

const UNDO_LINES_MAX = 100;

export class Editor {
  #area;
  #paint;
  #gutter;
  #scroller;
  #onChange;
  #onLeave;
  #highlighter = new Highlighter("");
  #lines = []; // {text, open, node}: open is the highlighter's state after the line
  #current = null;
  #leaving = false;

  // onChange(text) after an edit; onLeave(bool) when Esc made Tab leave, and when that is over
  constructor({ area, paint, gutter, scroller, onChange, onLeave }) {
    this.#area = area;
    this.#paint = paint;
    this.#gutter = gutter;
    this.#scroller = scroller;
    this.#onChange = onChange;
    this.#onLeave = onLeave;
    area.addEventListener("input", () => this.#edited());
    area.addEventListener("keydown", (event) => this.#key(event));
    area.addEventListener("blur", () => this.#setLeaving(false));
    area.addEventListener("scroll", () => this.#unscroll());
    document.addEventListener("selectionchange", () => this.#follow());
  }

  get value() {
    return this.#area.value;
  }

  load(text, language) {
    this.#highlighter = new Highlighter(language);
    this.#lines = [];
    this.#current = null;
    this.#paint.replaceChildren();
    this.#area.value = text;
    this.#area.setSelectionRange(0, 0);
    this.#scroller.scrollTo(0, 0);
    this.#repaint();
  }

  // Replaces everything as one edit, which Ctrl+Z takes back.
  replace(text) {
    this.#area.focus();
    this.#edit(0, this.#area.value.length, text);
    this.#area.setSelectionRange(0, 0);
  }

  #edited() {
    this.#repaint();
    this.#unscroll();
    this.#follow();
    this.#onChange(this.#area.value);
  }

  // The scroller scrolls, the textarea never does.
  #unscroll() {
    if (this.#area.scrollTop || this.#area.scrollLeft) this.#area.scrollTo(0, 0);
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Escape") {
      this.#setLeaving(true);
    } else if (event.key === "Tab" && !event.ctrlKey && !event.altKey && !event.metaKey) {
      if (this.#leaving) return; // the browser moves the focus
      event.preventDefault();
      if (event.shiftKey) this.#outdent();
      else this.#indent();
    } else if (event.key === "Enter" && !event.ctrlKey && !event.altKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      this.#newLine();
    } else if (event.key !== "Shift") {
      this.#setLeaving(false);
    }
  }

  #setLeaving(leaving) {
    if (leaving === this.#leaving) return;
    this.#leaving = leaving;
    this.#onLeave(leaving);
  }

  #indent() {
    const { value, selectionStart: start, selectionEnd: end } = this.#area;
    const unit = this.#unit();
    if (start !== end) {
      this.#editLines((line) => (line ? unit + line : line));
    } else {
      const column = start - lineStart(value, start);
      this.#edit(start, end, unit === "\t" ? unit : " ".repeat(unit.length - (column % unit.length)));
    }
  }

  #outdent() {
    const width = this.#unit().length === 1 ? 4 : this.#unit().length;
    this.#editLines((line) => line.replace(new RegExp(`^(?:\\t| {1,${width}})`), ""));
  }

  #newLine() {
    const { value, selectionStart: start, selectionEnd: end } = this.#area;
    const [indent] = /^[ \t]*/.exec(value.slice(lineStart(value, start), start));
    this.#edit(start, end, "\n" + indent);
  }

  // What one step of indentation is in this text; where it has none, in this language.
  #unit() {
    const indents = this.#lines.map(({ text }) => /^(?:\t| {2,}(?=[^\s*]))/.exec(text)?.[0]).filter(Boolean);
    if (indents.length === 0) return this.#highlighter.indent;
    if (indents.some((indent) => indent === "\t")) return "\t";
    return " ".repeat(Math.min(4, ...indents.map((indent) => indent.length)));
  }

  #editLines(change) {
    const { value, selectionStart: start, selectionEnd: end } = this.#area;
    const from = lineStart(value, start);
    // A selection that ends at the start of a line doesn't mean that line.
    const last = end > start && value[end - 1] === "\n" ? end - 1 : end;
    const newline = value.indexOf("\n", last);
    const to = newline < 0 ? value.length : newline;
    const before = value.slice(from, to);
    const lines = before.split("\n");
    const after = lines.map(change).join("\n");
    if (after === before) return;
    const firstShift = change(lines[0]).length - lines[0].length;
    this.#edit(from, to, after);
    const newStart = Math.max(from, start + firstShift);
    this.#area.setSelectionRange(newStart, Math.max(newStart, end + after.length - before.length));
  }

  // insertText keeps the browser's undo history, which setting the value would lose. Chromium's takes seconds
  // for some hundred lines (its time grows with their square), so a big edit goes without.
  #edit(from, to, text) {
    this.#area.setSelectionRange(from, to);
    const small = text.split("\n", UNDO_LINES_MAX + 1).length <= UNDO_LINES_MAX;
    if (small && (text ? document.execCommand("insertText", false, text) : document.execCommand("delete"))) return;
    this.#area.setRangeText(text, from, to, "end");
    this.#edited();
  }

  // Paints the lines that changed, and those after them whose colours changed with them.
  #repaint() {
    const texts = this.#area.value.split("\n");
    const old = this.#lines;
    const most = Math.min(texts.length, old.length);
    let head = 0;
    while (head < most && texts[head] === old[head].text) head++;
    let tail = 0;
    while (tail < most - head && texts[texts.length - 1 - tail] === old[old.length - 1 - tail].text) tail++;

    const fresh = texts.slice(head, texts.length - tail).map((text) => {
      const node = document.createElement("div");
      return { text, open: null, node };
    });
    const gone = old.slice(head, old.length - tail);
    for (const { node } of gone) node.remove();
    const nodes = document.createDocumentFragment();
    for (const { node } of fresh) nodes.append(node);
    this.#paint.insertBefore(nodes, this.#paint.children[head] ?? null);
    this.#lines = [...old.slice(0, head), ...fresh, ...old.slice(old.length - tail)];

    let open = head > 0 ? this.#lines[head - 1].open : -1;
    for (let i = head; i < this.#lines.length; i++) {
      const line = this.#lines[i];
      const result = this.#highlighter.line(line.text, open);
      line.node.replaceChildren(...result.pieces.map(([kind, text]) => piece(kind, text)));
      const settled = i >= head + fresh.length && line.open === result.open;
      open = line.open = result.open;
      if (settled) break;
    }
    if (texts.length !== old.length) {
      this.#gutter.textContent = Array.from(texts, (_, index) => index + 1).join("\n");
    }
  }

  // Marks the caret's line and keeps the caret in view.
  #follow() {
    if (document.activeElement !== this.#area) return;
    const { value, selectionStart: start, selectionEnd: end } = this.#area;
    let index = 0;
    for (let at = value.indexOf("\n"); at >= 0 && at < start; at = value.indexOf("\n", at + 1)) index++;
    const node = this.#lines[index]?.node;
    if (node !== this.#current) {
      this.#current?.classList.remove("current");
      node?.classList.add("current");
      this.#current = node;
    }
    if (node && start === end) this.#reveal(node, start - lineStart(value, start));
  }

  #reveal(node, column) {
    const view = this.#scroller.getBoundingClientRect();
    const line = node.getBoundingClientRect();
    const x = caretX(node, column);
    const left = view.left + this.#gutter.offsetWidth;
    const margin = 24;
    if (line.top < view.top) this.#scroller.scrollTop -= view.top - line.top;
    else if (line.bottom > view.top + this.#scroller.clientHeight) {
      this.#scroller.scrollTop += line.bottom - view.top - this.#scroller.clientHeight;
    }
    if (column === 0 || x < left) this.#scroller.scrollLeft -= left + margin - x;
    else if (x > view.left + this.#scroller.clientWidth - margin) {
      this.#scroller.scrollLeft += x - view.left - this.#scroller.clientWidth + 2 * margin;
    }
  }
}

function piece(kind, text) {
  if (!kind) return text;
  const span = document.createElement("span");
  span.className = "t-" + kind;
  span.textContent = text;
  return span;
}

function lineStart(text, at) {
  return text.lastIndexOf("\n", at - 1) + 1;
}

function caretX(line, column) {
  const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  let left = column;
  for (let node; (node = walker.nextNode()); left -= node.length) {
    if (left > node.length) continue;
    range.setStart(node, left);
    range.collapse(true);
    return (range.getClientRects()[0] ?? line.getBoundingClientRect()).left;
  }
  return line.getBoundingClientRect().left;
}
