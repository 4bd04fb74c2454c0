// Follows one job's events. EventSource resumes by itself; where it gives up, open() starts over,
// and the server's replay is skipped up to the last event that was seen, so nothing shows twice.

const NAMES = ["queued", "started", "restarted", "compile", "stdout", "stderr", "finished"];

export class Watch {
  #url;
  #source = null;
  #seen = 0;
  #onEvent;
  #onConnection;

  // onEvent(name, data); onConnection("open" | "retrying" | "closed")
  constructor(url, onEvent, onConnection) {
    this.#url = url;
    this.#onEvent = onEvent;
    this.#onConnection = onConnection;
    this.open();
  }

  open() {
    this.close();
    const source = new EventSource(this.#url);
    this.#source = source;
    for (const name of NAMES) source.addEventListener(name, (event) => this.#take(name, event));
    source.onopen = () => this.#onConnection("open");
    source.onerror = () => {
      if (source !== this.#source) return;
      this.#onConnection(source.readyState === EventSource.CLOSED ? "closed" : "retrying");
    };
  }

  close() {
    this.#source?.close();
    this.#source = null;
  }

  #take(name, event) {
    const id = Number(event.lastEventId);
    if (id > 0) {
      if (id <= this.#seen) return;
      this.#seen = id;
    }
    if (name === "finished") this.close();
    this.#onEvent(name, JSON.parse(event.data));
  }
}
