// One run, from the Run button to its outcome. It holds the job's id and links, in memory only.
//
//   sending -> queued -> started -> (compiling) -> running -> done
//        \-> failed (not accepted)        any of them -> lost (no more events; can be watched again)

import * as api from "./api.js";
import { Watch } from "./watch.js";

const RETRY_NOTICE_MS = 800;
const compiled = new Set(); // languages that were seen compiling: "started" then means "compiling"

const UNANSWERED = new Set(["", "internal", "no_connection", "unconfirmed"]);

// Whether the job may have been accepted all the same. Sent again, its key makes it run once.
const mayRun = ({ code, status }) => (status === 0 || status >= 500) && UNANSWERED.has(code);

export class Run {
  #links = null;
  #watch = null;
  #stopping = false;
  #noticeTimer = 0;
  #told = null; // the last state and text, to come back to after a lost connection
  #resume = null; // what was told before the events stopped for good
  #sending = Promise.resolve();
  #job;
  #key = api.freshKey();
  #on;

  state = "sending";

  // on: {state(state, text), text(stream, text), clear(), finished(result), failed(problem), lost(problem), problem(problem)}
  constructor(job, on) {
    this.#job = job;
    this.#on = on;
  }

  get over() {
    return this.state === "done" || this.state === "failed";
  }

  get busy() {
    return !this.over && this.state !== "lost";
  }

  get takesStdin() {
    return this.#job.stdin_open && ["started", "compiling", "running"].includes(this.state);
  }

  // Sends the job. After a failure it may be called again: the same key can't start the job twice.
  async start() {
    this.#tell("sending", "Sending…");
    try {
      const created = await api.createJob(this.#job, this.#key);
      this.#links = linksOf(created);
    } catch (problem) {
      this.#tell("failed", mayRun(problem) ? "Not known to run" : "Not run");
      this.#on.failed(problem);
      return;
    }
    this.#tell("queued", "Queued…");
    this.watch();
    if (this.#stopping) this.stop();
  }

  watch() {
    if (this.#watch) this.#watch.open();
    else this.#watch = new Watch(this.#links.events, (name, data) => this.#event(name, data), (how) => this.#connection(how));
    if (this.state === "lost") this.#tell("reconnecting", "Reconnecting…");
  }

  async stop() {
    this.#stopping = true;
    this.#on.state(this.state, "Stopping…");
    if (!this.#links) return; // start() stops it once it knows the job
    try {
      await api.cancelJob(this.#links);
      if (this.state === "lost") this.watch();
    } catch (problem) {
      this.#stopping = false;
      if (this.over) return; // it ended while we asked
      this.#on.problem(problem);
      this.#on.state(...this.#told);
    }
  }

  // Nobody will look at this run again.
  abandon() {
    clearTimeout(this.#noticeTimer);
    this.#watch?.close();
    if (!this.over && this.#links) api.cancelJob(this.#links, { leaving: true }).catch(() => {});
    this.state = "done";
  }

  // Lines arrive in the order in which they were typed, whatever the network does. Resolves to success.
  sendStdin(text, options) {
    this.#sending = this.#sending.then(async () => {
      try {
        await api.sendStdin(this.#links, text, options);
        return true;
      } catch (problem) {
        if (!this.over) this.#on.problem(problem);
        return false;
      }
    });
    return this.#sending;
  }

  #event(name, data) {
    clearTimeout(this.#noticeTimer);
    if (name === "queued") {
      this.#tell("queued", data.position > 0 ? `Queued at position ${data.position}` : "Queued…");
    } else if (name === "started") {
      this.#tell("started", compiled.has(this.#job.language) ? "Compiling…" : "Running…");
    } else if (name === "restarted") {
      this.#on.clear();
      this.#tell("started", `The program was started again, attempt ${data.attempt}…`);
    } else if (name === "compile") {
      compiled.add(this.#job.language);
      if (this.state !== "running" && this.state !== "compiling") this.#tell("compiling", "Compiling…");
      this.#on.text("compile", data.text);
    } else if (name === "finished") {
      if (data.compile) compiled.add(this.#job.language);
      this.state = "done";
      this.#on.finished(data);
    } else {
      if (this.state !== "running") this.#tell("running", "Running…"); // there may be thousands of these a second
      this.#on.text(name, data.text);
    }
  }

  #connection(how) {
    clearTimeout(this.#noticeTimer);
    if (this.over) return;
    if (how === "open") {
      this.#tell(...(this.state === "reconnecting" ? this.#resume : this.#told));
    } else if (how === "retrying") {
      this.#noticeTimer = setTimeout(() => this.#on.state("reconnecting", "Connection lost, reconnecting…"), RETRY_NOTICE_MS);
    } else {
      this.#explainLoss();
    }
  }

  // EventSource doesn't say why it gave up; the job itself does.
  async #explainLoss() {
    this.#watch.close();
    if (this.state !== "reconnecting") this.#resume = this.#told;
    this.#tell("lost", "The live output has stopped");
    let problem = new api.Problem({
      title: "The live output has stopped",
      detail: "The job itself may still be running. Reconnect to see all of its output.",
    });
    try {
      await api.getJob(this.#links);
    } catch (reason) {
      problem = reason;
    }
    if (problem.status === 404 || problem.status === 410) this.state = "failed";
    if (this.state === "lost" || this.state === "failed") this.#on.lost(problem);
  }

  #tell(state, text) {
    this.state = state;
    this.#told = [state, text];
    this.#on.state(state, this.#stopping ? "Stopping…" : text);
  }
}

function linksOf({ id, links = {} }) {
  const self = links.self ?? `/v1/jobs/${encodeURIComponent(id)}`;
  return { self, events: links.events ?? `${self}/events`, stdin: links.stdin ?? `${self}/stdin` };
}
