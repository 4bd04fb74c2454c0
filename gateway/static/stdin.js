// The line below the output that feeds a running program.

const INVITE = "Type a line, Enter sends it";

export class StdinRow {
  #row = document.getElementById("stdin-row");
  #line = document.getElementById("stdin-line");
  #controls = this.#row.querySelectorAll("input, button");
  #echo;
  #currentRun;

  // echo(text) shows what was typed; currentRun() is the run that reads it
  constructor({ echo, currentRun }) {
    this.#echo = echo;
    this.#currentRun = currentRun;
    document.getElementById("stdin-send").addEventListener("click", () => this.#send());
    document.getElementById("stdin-end").addEventListener("click", () => this.#end());
    this.#line.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.#send();
    });
  }

  show(open) {
    if (open === !this.#row.hidden) return;
    const hadFocus = this.#row.contains(document.activeElement);
    this.#row.hidden = !open;
    if (open) {
      this.#line.value = "";
      this.#enable(true, INVITE);
      this.#line.focus({ preventScroll: true });
    } else if (hadFocus) {
      document.getElementById("run").focus({ preventScroll: true });
    }
  }

  async #send() {
    const line = this.#line.value;
    this.#line.value = "";
    this.#line.focus();
    const run = this.#currentRun();
    this.#echo(line + "\n");
    const sent = await run.sendStdin(line + "\n");
    if (!sent && this.#stillReads(run) && !this.#line.value) this.#line.value = line;
  }

  async #end() {
    const run = this.#currentRun();
    const rest = this.#line.value;
    if (rest) this.#echo(rest);
    this.#line.value = "";
    this.#enable(false, "Closed: the program reads end of file");
    const sent = await run.sendStdin(rest, { end: true });
    if (!sent && this.#stillReads(run)) this.#enable(true, INVITE);
  }

  #stillReads(run) {
    return run === this.#currentRun() && run.takesStdin;
  }

  #enable(enabled, placeholder) {
    for (const control of this.#controls) control.disabled = !enabled;
    this.#line.placeholder = placeholder;
  }
}
