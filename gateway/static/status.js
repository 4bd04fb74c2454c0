// The status line: where the job is, then how it ended. Screen readers hear #status; the clock is silent.

import { outcomeDetail, outcomeTitle, usageRows } from "./format.js";
import { element } from "./problem.js";

const GOOD = new Set(["success"]);
const CALM = new Set(["cancelled"]);

export class StatusLine {
  #line = document.getElementById("status");
  #text = document.getElementById("status-text");
  #outcome = document.getElementById("outcome");
  #usage = document.getElementById("usage");
  #elapsed = document.getElementById("elapsed");
  #timer = 0;

  get state() {
    return this.#line.dataset.state;
  }

  set(state, text) {
    this.#line.dataset.state = state;
    if (this.#text.textContent !== text) this.#text.textContent = text;
  }

  start() {
    this.stopClock();
    this.#outcome.hidden = true;
    this.#outcome.textContent = "";
    delete this.#outcome.dataset.outcome;
    delete this.#outcome.dataset.tone;
    this.#usage.hidden = true;
    this.#usage.replaceChildren();
  }

  startClock() {
    this.stopClock();
    const from = performance.now();
    const tick = () => {
      this.#elapsed.textContent = `${((performance.now() - from) / 1000).toFixed(1)} s`;
    };
    tick();
    this.#timer = setInterval(tick, 100);
  }

  stopClock() {
    clearInterval(this.#timer);
    this.#elapsed.textContent = "";
  }

  finish(finished) {
    this.stopClock();
    const { outcome, usage } = finished;
    this.#outcome.textContent = outcomeTitle(outcome);
    this.#outcome.dataset.outcome = outcome;
    this.#outcome.dataset.tone = GOOD.has(outcome) ? "good" : CALM.has(outcome) ? "calm" : "bad";
    this.#outcome.hidden = false;
    this.set("done", outcomeDetail(finished));
    const rows = usageRows(usage ?? {});
    this.#usage.replaceChildren(
      ...rows.map(([name, value]) => {
        const row = element("div");
        row.append(element("dt", name), element("dd", value));
        return row;
      }),
    );
    this.#usage.hidden = rows.length === 0;
  }
}
