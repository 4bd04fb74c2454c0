// The output pane. However much a program prints, the page stays quick: text is collected until the next
// frame, neighbours of one stream become one span, spans lie in blocks of bounded size, and the oldest
// blocks leave when the pane holds more than PANE_MAX.

const PANE_MAX = 1_200_000; // characters, a span counts as SPAN_COST of them; the usual limit of 1 MB fits
const SPAN_COST = 200;
const BLOCK_MAX = 32_768;
const LINE_SLACK = 8_192; // a block may grow by this to end with a line
const FRAME_MAX = 262_144; // what is put in the page within one frame: it adapts to the machine
const FRAME_MIN = 16_384;
const FRAME_MS = 20;

export class Output {
  #pane;
  #onChange;
  #pending = [];
  #pendingCost = 0;
  #blocks = []; // {node, cost, chars, stream, partial, full}: stream and partial are the last span's
  #atLineStart = true;
  #cost = 0;
  #hidden = 0;
  #frame = 0;
  #frameBudget = FRAME_MIN * 2;
  #follows = true;
  #top = 0;

  // onChange({empty, hidden, follows}) after every frame that changed something
  constructor(pane, onChange) {
    this.#pane = pane;
    this.#onChange = onChange;
    pane.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    pane.addEventListener("wheel", (event) => event.deltaY < 0 && this.#leaveEnd(), { passive: true });
  }

  get text() {
    return this.#pane.textContent;
  }

  append(stream, text) {
    for (let from = 0; from < text.length; ) {
      const to = wholeCharacter(text, from + FRAME_MIN);
      this.#collect(stream, text.slice(from, to));
      from = to;
    }
  }

  clear() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#pending = [];
    this.#pendingCost = 0;
    this.#dropBlocks(this.#blocks.length);
    this.#hidden = 0;
    this.#atLineStart = true;
    this.#follows = true;
    this.#top = 0;
    this.#report();
  }

  toEnd() {
    this.#follows = true;
    this.#scrollToEnd();
    this.#report();
  }

  #collect(stream, text) {
    const last = this.#pending.at(-1);
    if (last?.stream === stream && last.text.length + text.length <= FRAME_MIN) {
      last.text += text;
      this.#pendingCost += text.length;
    } else {
      this.#pending.push({ stream, text });
      this.#pendingCost += text.length + SPAN_COST;
    }
    if (this.#pendingCost > PANE_MAX) this.#overflow();
    this.#frame ||= requestAnimationFrame(() => this.#flush());
  }

  // More is waiting than the pane can hold: what is shown, and the oldest that waits, is history.
  #overflow() {
    this.#dropBlocks(this.#blocks.length);
    let count = 0;
    while (this.#pendingCost > PANE_MAX / 2) {
      const { text } = this.#pending[count++];
      this.#pendingCost -= text.length + SPAN_COST;
      this.#hidden += text.length;
    }
    this.#pending.splice(0, count);
  }

  #flush() {
    this.#frame = 0;
    const start = performance.now();
    let count = 0;
    for (let left = this.#frameBudget; count < this.#pending.length && left > 0; count++) {
      const { stream, text } = this.#pending[count];
      const cost = text.length + SPAN_COST;
      left -= cost;
      this.#pendingCost -= cost;
      this.#write(stream, text);
    }
    this.#pending.splice(0, count);
    if (this.#pending.length) this.#frame = requestAnimationFrame(() => this.#flush());
    this.#trim();
    if (this.#follows) this.#scrollToEnd(); // lays the page out, so the clock sees all of the work
    const slow = performance.now() - start > FRAME_MS;
    this.#frameBudget = Math.min(FRAME_MAX, Math.max(FRAME_MIN, this.#frameBudget * (slow ? 0.5 : 1.5)));
    this.#report();
  }

  #write(stream, text) {
    while (text) {
      let block = this.#blocks.at(-1);
      if (!block || block.full) block = this.#addBlock();
      const cut = lineCut(text, BLOCK_MAX - block.cost);
      block.full = cut < text.length || (block.cost + cut >= BLOCK_MAX && text[cut - 1] === "\n");
      this.#put(block, stream, text.slice(0, cut));
      text = text.slice(cut);
    }
  }

  // A span that starts within another stream's line ends with that line, so that it can be marked as such.
  #put(block, stream, text) {
    const joins = block.stream === stream && !(block.partial && this.#atLineStart);
    const partial = joins ? block.partial : !this.#atLineStart;
    const end = partial ? text.indexOf("\n") + 1 || text.length : text.length;
    const part = text.slice(0, end);
    let cost = part.length;
    if (joins) {
      block.node.lastChild.firstChild.appendData(part);
    } else {
      const span = document.createElement("span");
      span.className = partial ? `${stream} partial` : stream;
      span.append(part);
      block.node.append(span);
      Object.assign(block, { stream, partial });
      cost += SPAN_COST;
    }
    block.chars += part.length;
    block.cost += cost;
    this.#cost += cost;
    this.#atLineStart = part.endsWith("\n");
    if (end < text.length) this.#put(block, stream, text.slice(end));
  }

  #addBlock() {
    const node = document.createElement("div");
    this.#pane.append(node);
    const block = { node, cost: 0, chars: 0, stream: null, partial: false, full: false };
    this.#blocks.push(block);
    return block;
  }

  #trim() {
    let count = 0;
    for (let cost = this.#cost; cost > PANE_MAX && count < this.#blocks.length - 1; count++) {
      cost -= this.#blocks[count].cost;
    }
    this.#dropBlocks(count);
  }

  #dropBlocks(count) {
    for (const block of this.#blocks.splice(0, count)) {
      block.node.remove();
      this.#cost -= block.cost;
      this.#hidden += block.chars;
    }
  }

  #scrollToEnd() {
    this.#pane.scrollTop = this.#pane.scrollHeight;
    this.#top = this.#pane.scrollTop;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#pane;
    const atEnd = scrollHeight - clientHeight - scrollTop < 4;
    if (atEnd) this.#follows = true;
    else if (scrollTop < this.#top) this.#follows = false;
    this.#top = scrollTop;
    this.#report();
  }

  #leaveEnd() {
    if (this.#pane.scrollHeight > this.#pane.clientHeight) this.#follows = false;
  }

  #report() {
    this.#onChange({ empty: this.#blocks.length === 0, hidden: this.#hidden, follows: this.#follows });
  }
}

// How much of text goes in a block with that much room: all, or up to a line's end near by.
function lineCut(text, room) {
  if (text.length <= room) return text.length;
  const before = text.lastIndexOf("\n", room - 1) + 1;
  if (before > 0 && room > 0) return before;
  const after = text.indexOf("\n", Math.max(room, 0)) + 1;
  const most = Math.max(room, 0) + LINE_SLACK;
  if (after > 0 && after <= most) return after;
  return wholeCharacter(text, most);
}

// The nearest place at or before end that doesn't tear a surrogate pair.
function wholeCharacter(text, end) {
  if (end >= text.length) return text.length;
  const code = text.charCodeAt(end - 1);
  return code >= 0xd800 && code <= 0xdbff ? end - 1 : end;
}
