// The live tree: asks for it each second, and hands it to the parts of the page that draw it.

import { Chart } from "./system-charts.js";
import { duration } from "./system-format.js";
import { showActors, showDown, showHappenings } from "./system-lists.js";
import { showLanguages } from "./system-pools.js";
import { milliseconds } from "./format.js";
import { recall, remember } from "./storage.js";

const EVERY_MS = 1000;
const PATIENCE_MS = 10_000;
const KEY = "admin";

const $ = (id) => document.getElementById(id);
const charts = {
  jobs: new Chart($("jobs-chart"), $("jobs-most"), "Jobs", (most) => `at most ${most} a second`),
  wait: new Chart($("wait-chart"), $("wait-most"), "Waiting times", (most) => `up to ${milliseconds(most)}`),
};
let timer = 0;

// ---- asking

async function poll() {
  clearTimeout(timer);
  if (document.hidden) return; // asked again when it is seen
  try {
    const response = await ask();
    if (response.status === 404) {
      showGate();
      return;
    }
    if (!response.ok) throw new Error(`the service answers ${response.status}`);
    show(await response.json());
    say("live", "Live");
  } catch {
    say("lost", "No connection, trying again");
  }
  timer = setTimeout(poll, EVERY_MS);
}

function ask() {
  const key = recall(KEY);
  return fetch("/v1/system", {
    cache: "no-store",
    headers: key ? { Authorization: `Bearer ${key}` } : {},
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
}

function say(state, text) {
  $("link").dataset.state = state;
  $("board").classList.toggle("stale", state === "lost");
  if ($("link-text").textContent !== text) $("link-text").textContent = text;
}

// ---- the key

function showGate() {
  $("gate-note").hidden = !recall(KEY);
  remember(KEY, null);
  $("board").hidden = true;
  $("gate").hidden = false;
  $("key").value = "";
  $("key").focus();
  say("closed", "Closed");
}

function enter(event) {
  event.preventDefault();
  remember(KEY, $("key").value.trim());
  poll();
}

// ---- drawing

function show(system) {
  $("gate").hidden = true;
  $("board").hidden = false;
  showFigures(system);
  showLanguages(system.languages);
  showDown(system.down);
  showHappenings(system.happenings);
  showActors(system.actors);
}

function showFigures({ last_minute: minute, languages, actors, broker, uptime_s: uptime }) {
  const boxes = languages.flatMap(({ containers }) => containers);
  const text = {
    jobs: minute.jobs.toLocaleString("en"),
    rate: `${(minute.jobs / 60).toFixed(minute.jobs < 600 ? 1 : 0)} a second`,
    wait: minute.wait_p50_ms === null ? "–" : milliseconds(minute.wait_p50_ms),
    "wait-high": minute.wait_p95_ms === null ? "" : `95 % within ${milliseconds(minute.wait_p95_ms)}`,
    busy: boxes.filter(({ state }) => state === "busy").length,
    waiting: languages.reduce((sum, { waiting }) => sum + waiting, 0).toLocaleString("en"),
    containers: boxes.length,
    restarts: actors.reduce((sum, { restarts }) => sum + restarts, 0).toLocaleString("en"),
    broker,
    uptime: duration(uptime),
  };
  for (const [id, value] of Object.entries(text)) $(id).textContent = value;
  $("broker").dataset.tone = broker === "up" ? "good" : "bad";
  charts.jobs.draw(minute.jobs_by_second);
  charts.wait.draw(minute.wait_p95_ms_by_second);
}

$("gate").addEventListener("submit", enter);
document.addEventListener("visibilitychange", poll);
poll();
