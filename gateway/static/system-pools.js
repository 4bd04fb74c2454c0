// A row a language: its queue, and a cell for each container of its pool.

import { milliseconds } from "./format.js";
import { element } from "./problem.js";
import { duration, put, sync } from "./system-format.js";

export function showLanguages(languages) {
  document.getElementById("no-languages").hidden = languages.length > 0;
  sync(document.getElementById("languages"), languages, ({ name }) => name, newRow, fillRow);
}

function newRow({ name }) {
  const row = element("li", "", "language");
  row.append(
    element("h3", name, "name"),
    part("p", "waiting"),
    part("ul", "cells"),
    part("p", "numbers"),
    part("p", "trouble"),
  );
  row.querySelector(".cells").ariaLabel = `Containers of ${name}`;
  return row;
}

function part(tag, name) {
  return element(tag, "", name);
}

function fillRow(row, language) {
  const { waiting, next_waits_s: nextWaits, pool, containers, last_minute: minute } = language;
  const queue = row.querySelector(".waiting");
  put(queue, waiting ? `${waiting.toLocaleString("en")} waiting` + (nextWaits === null ? "" : ` · next ${duration(nextWaits)}`) : "none waiting");
  queue.classList.toggle("some", waiting > 0);
  put(row.querySelector(".numbers"), numbers(minute));
  put(row.querySelector(".trouble"), trouble(pool));
  row.classList.toggle("paused", Boolean(pool.paused));
  const room = Array.from({ length: Math.max(0, pool.max - containers.length) }, (_, n) => ({ name: `free ${n}`, state: "free" }));
  sync(row.querySelector(".cells"), [...containers, ...room], ({ name }) => name, newCell, fillCell);
}

function numbers({ jobs, wait_p50_ms: wait, internal_errors: errors }) {
  if (!jobs) return "no jobs lately";
  const parts = [`${jobs.toLocaleString("en")} ${jobs === 1 ? "job" : "jobs"} a minute`];
  if (wait !== null) parts.push(`waited ${milliseconds(wait)}`);
  if (errors) parts.push(`${errors} by our fault`);
  return parts.join(" · ");
}

function trouble({ paused, resumes_in_s: resumesIn }) {
  if (!paused) return "";
  return resumesIn ? `${paused} – again in ${duration(resumesIn)}` : paused;
}

function newCell({ state }) {
  return state === "free" ? element("li", "", "cell") : element("li", "", "cell container");
}

function fillCell(cell, { name, state, for_s: forS, jobs }) {
  cell.dataset.state = state;
  if (state === "free") {
    cell.ariaHidden = "true";
    return;
  }
  const words = `${name.split("/").at(-1)}: ${state} for ${duration(forS)}, ${jobs} ${jobs === 1 ? "job" : "jobs"} so far`;
  put(cell, state === "busy" ? age(forS) : "");
  cell.title = words;
  cell.ariaLabel = words;
  // A quick job is over between two looks: its container blinks all the same.
  if (cell.dataset.jobs !== undefined && Number(cell.dataset.jobs) < jobs) blink(cell);
  cell.dataset.jobs = jobs;
}

// Fits into a cell: whole seconds, then minutes.
function age(seconds) {
  if (seconds < 1) return "";
  return seconds < 100 ? `${Math.floor(seconds)}s` : `${Math.floor(seconds / 60)}m`;
}

function blink(cell) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const ring = "0 0 0 3px var(--accent)";
  cell.animate([{ boxShadow: ring }, { boxShadow: ring.replace("3px", "0") }], { duration: 500, easing: "ease-out" });
}
