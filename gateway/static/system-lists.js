// What is down, what has happened, and the tree of actors.

import { element } from "./problem.js";
import { duration, put, sync } from "./system-format.js";

const $ = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const shortened = (name) => name.replace(/^root\/(languages\/)?/, "");

// Why a container was replaced, where its own word for it is short.
const REASONS = {
  deadline: "its runner did not stop a job in time",
  died: "it died",
  dirty: "it could not be shown to be clean",
  oom: "a job ran out of memory",
  protocol: "its runner said what makes no sense",
  scrub: "it was not clean in time",
};

// ---- down just now

export function showDown(down) {
  const create = () => {
    const row = element("li");
    row.append(element("strong"), " ", element("span"));
    return row;
  };
  sync($("down"), down, ({ name }) => name, create, (row, { name, reason, for_s: forS }) => {
    put(row.querySelector("strong"), `${shortened(name)} is being restarted`);
    put(row.querySelector("span"), `for ${duration(forS)}: ${reason}`);
  });
}

// ---- what has happened

export function showHappenings(happenings) {
  $("no-happenings").hidden = happenings.length > 0;
  $("happenings").hidden = happenings.length === 0;
  sync($("happenings"), happenings, ({ number }) => number, newHappening, () => {});
}

function newHappening({ at, kind, name, reason, attempt, delay_s: delayS }) {
  const row = element("li", "", "happening");
  row.dataset.kind = kind;
  const time = element("time", clock.format(new Date(at)));
  time.dateTime = at;
  const more = [];
  if (attempt > 1) more.push(`attempt ${attempt}`);
  if (delayS >= 0.1) more.push(`after ${duration(delayS)}`);
  row.append(
    time,
    element("span", kind === "retired" ? "replaced" : kind, "badge"),
    element("span", shortened(name), "who"),
    element("span", [REASONS[reason] ?? reason, ...more].join(", "), "why"),
  );
  return row;
}

// ---- actors

export function showActors(actors) {
  put($("actor-count"), String(actors.length));
  sync($("actors"), actors, ({ name }) => name, newActor, fillActor);
}

function newActor({ name, kind }) {
  const row = element("tr");
  const path = name.split("/");
  const label = element("th", path.at(-1));
  label.scope = "row";
  label.title = `${name} (${kind})`;
  label.style.setProperty("--depth", path.length - 1);
  row.append(label, element("td", "", "state"), element("td", "", "count"), element("td", "", "count"));
  return row;
}

function fillActor(row, { state, mailbox, restarts }) {
  const [, stateCell, mailboxCell, restartCell] = row.children;
  row.dataset.state = state;
  put(stateCell, state);
  put(mailboxCell, String(mailbox));
  put(restartCell, String(restarts));
  mailboxCell.classList.toggle("zero", !mailbox);
  restartCell.classList.toggle("zero", !restarts);
}
