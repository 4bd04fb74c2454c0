// The page: connects the controls with the editor, the output and the run.

import * as api from "./api.js";
import { parseArgs } from "./args.js";
import { Editor } from "./editor.js";
import { limitsLine } from "./format.js";
import { Output } from "./output.js";
import { ProblemBox } from "./problem.js";
import { Run } from "./run.js";
import { StatusLine } from "./status.js";
import { StdinRow } from "./stdin.js";
import { recall, remember } from "./storage.js";

const NOT_READY_POLL_MS = 5000;
const SAVE_DELAY_MS = 300;

const $ = (id) => document.getElementById(id);
const mac = /Mac|iPhone|iPad/.test(navigator.platform);
const runKeyNames = mac ? "⌘ Return" : "Ctrl+Enter";

let languages = [];
let language = null; // the one that is picked
let run = null;
let undoReset = null; // what Reset replaced, until the next edit
let saveTimer = 0;
let focusRunAfter = false; // a disabled button loses the focus: give it back

const status = new StatusLine();
const problems = new ProblemBox($("problem"), {
  language: $("language"),
  source: $("editor"),
  stdin: $("stdin"),
  args: $("args"),
});
const output = new Output($("output"), ({ empty, hidden, follows }) => {
  $("to-end").hidden = follows || empty;
  $("copy").hidden = empty;
  $("hidden-note").hidden = hidden === 0;
  if (hidden) $("hidden-note").textContent = `Earlier output is hidden: ${hidden.toLocaleString("en")} characters.`;
});
const stdinRow = new StdinRow({
  echo: (text) => output.append("stdin", text),
  currentRun: () => run,
});
const editor = new Editor({
  area: $("editor"),
  paint: $("paint"),
  gutter: $("gutter"),
  scroller: $("scroller"),
  onChange: edited,
  onLeave: showHelp,
});

// ---- languages

async function loadLanguages() {
  status.set("loading", "Loading…");
  try {
    languages = await api.getLanguages();
    if (!languages.length) {
      throw new api.Problem({ title: "No languages", detail: "The server is up, but no language is installed." });
    }
  } catch (problem) {
    status.set("failed", "Not ready");
    problems.show(problem, { label: "Try again", run: loadLanguages });
    return;
  }
  problems.clear();
  showLanguages();
  const wanted = recall("language");
  pick(languages.find(({ name }) => name === wanted) ?? languages[0]);
  status.set("idle", "Ready");
  pollUntilReady();
}

function showLanguages() {
  $("language").replaceChildren(
    ...languages.map(({ name, title, ready }) => new Option(title + (ready === false ? " (not ready)" : ""), name)),
  );
  if (language) $("language").value = language.name;
  $("language").disabled = false;
}

function pollUntilReady() {
  if (languages.every(({ ready }) => ready !== false)) return;
  setTimeout(async () => {
    const fresh = document.hidden ? [] : await api.getLanguages().catch(() => []);
    if (fresh.length) {
      languages = fresh;
      language = languages.find(({ name }) => name === language.name) ?? language;
      showLanguages();
      showLanguage();
    }
    pollUntilReady();
  }, NOT_READY_POLL_MS);
}

function pick(next) {
  if (language) saveCode();
  language = next;
  remember("language", next.name);
  undoReset = null;
  editor.load(recall(codeKey()) ?? next.hello, next.name);
  $("language").value = next.name;
  $("editor").disabled = false;
  showLanguage();
  showReset();
  showButtons();
}

function showLanguage() {
  const { version, title, main, limits, ready } = language;
  $("version").textContent = ready === false ? "not ready yet" : version || title;
  $("version").title = version ?? "";
  $("file").textContent = main;
  const may = limitsLine(limits);
  const idle = matchMedia("(pointer: coarse)").matches ? "Press Run." : `Press Run, or ${runKeyNames}.`;
  if (!run) $("output").dataset.placeholder = idle + (may ? `\nA program may use ${may}.` : "");
}

// ---- the code, kept in this tab for each language

const codeKey = () => `code.${language.name}`;

function edited() {
  undoReset = null;
  showReset();
  clearTimeout(saveTimer);
  saveTimer = setTimeout(saveCode, SAVE_DELAY_MS);
}

function saveCode() {
  clearTimeout(saveTimer);
  const code = editor.value;
  remember(codeKey(), code === language.hello ? null : code);
}

function reset() {
  const before = undoReset === null ? editor.value : null;
  editor.replace(undoReset ?? language.hello);
  undoReset = before;
  saveCode();
  showReset();
}

function showReset() {
  $("reset").textContent = undoReset === null ? "Reset to sample" : "Undo reset";
  $("reset").disabled = undoReset === null && editor.value === language.hello;
}

function showHelp(leaving) {
  $("editor-help").textContent = leaving
    ? "Tab and Shift+Tab now leave the editor."
    : "Tab indents, Shift+Tab outdents. Press Esc, then Tab, to leave the editor.";
  $("editor-help").classList.toggle("active", leaving);
}

// ---- arguments

function readArgs() {
  const note = $("args-note");
  try {
    const args = parseArgs($("args").value);
    note.textContent = args.map((arg) => `“${arg}”`).join("  ");
    note.hidden = !/["'\\]/.test($("args").value);
    note.classList.remove("bad");
    $("args").removeAttribute("aria-invalid");
    return args;
  } catch (error) {
    note.textContent = error.message;
    note.hidden = false;
    note.classList.add("bad");
    $("args").setAttribute("aria-invalid", "true");
    return null;
  }
}

// ---- running

function startRun() {
  if (!language || run?.busy) return;
  const args = readArgs();
  if (args === null) {
    $("args").focus();
    return;
  }
  saveCode();
  run?.abandon();
  const job = {
    language: language.name,
    source: editor.value,
    stdin: $("stdin").value,
    args,
    stdin_open: $("interactive").checked,
  };
  output.clear();
  $("legend-stdin").hidden = !job.stdin_open;
  run = newRun(job);
  submit();
  showOutput();
}

function newRun(job) {
  const mine = new Run(job, {
    state: (state, text) => mine === run && showState(state, text),
    text: (stream, text) => mine === run && output.append(stream, text),
    clear: () => mine === run && output.clear(),
    finished: (result) => mine === run && finish(result),
    failed: (problem) => mine === run && fail(problem),
    lost: (problem) => mine === run && lose(problem),
    problem: (problem) => mine === run && problems.show(problem),
  });
  return mine;
}

function submit() {
  problems.clear();
  status.start();
  $("output").dataset.placeholder = "";
  run.start();
}

function showState(state, text) {
  const started = ["started", "compiling", "running"];
  if (started.includes(state) && !started.includes(status.state) && status.state !== "reconnecting") status.startClock();
  status.set(state, text);
  showButtons();
}

function finish(result) {
  status.finish(result);
  $("output").dataset.placeholder = "The program printed nothing.";
  showButtons();
}

function fail(problem) {
  status.stopClock();
  status.set("failed", `Not run: ${problem.title}`);
  const again = problem.code === "no_connection" ? { label: "Try again", run: submit } : null;
  problems.show(problem, again);
  showButtons();
}

function lose(problem) {
  status.stopClock();
  status.set(run.state, problem.title);
  const again = run.over ? null : { label: "Reconnect", run: () => (problems.clear(), run.watch()) };
  problems.show(problem, again);
  showButtons();
}

function showButtons() {
  const focus = document.activeElement;
  const busy = Boolean(run?.busy);
  if (busy && focus === $("run")) focusRunAfter = true;
  $("run").disabled = !language || busy;
  $("stop").disabled = !run || run.over;
  if (!busy && (focus === $("stop") || (focusRunAfter && focus === document.body))) $("run").focus({ preventScroll: true });
  if (!busy) focusRunAfter = false;
  stdinRow.show(Boolean(run?.takesStdin));
}

// On a phone the output lies below the editor, and the buttons over the page's end.
function showOutput() {
  const bar = getComputedStyle($("run").parentElement).position === "fixed" ? $("run").parentElement.offsetHeight : 0;
  const { top, bottom } = $("out").getBoundingClientRect();
  if (top >= 0 && bottom <= innerHeight - bar) return;
  if (document.activeElement === $("editor") && bar) $("editor").blur();
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  $("out").scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
}

// ---- copying

async function copyOutput() {
  try {
    await navigator.clipboard.writeText(output.text);
  } catch {
    // Only secure origins have the clipboard: select it, and let the user copy.
    getSelection().selectAllChildren($("output"));
    if (!document.execCommand("copy")) return;
  }
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
}

// ---- wiring

$("language").addEventListener("change", () => pick(languages.find(({ name }) => name === $("language").value)));
$("reset").addEventListener("click", reset);
$("run").addEventListener("click", startRun);
$("stop").addEventListener("click", () => run?.stop());
$("copy").addEventListener("click", copyOutput);
$("to-end").addEventListener("click", () => output.toEnd());
$("args").addEventListener("input", readArgs);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.repeat) return;
  event.preventDefault();
  startRun();
});
for (const [key, id] of [["stdin", "stdin"], ["args", "args"]]) {
  $(id).value = recall(key) ?? "";
  $(id).addEventListener("input", () => remember(key, $(id).value));
}
$("interactive").checked = recall("interactive") === "yes";
$("interactive").addEventListener("change", () => remember("interactive", $("interactive").checked ? "yes" : null));
addEventListener("pagehide", () => {
  if (language) saveCode();
  if (!run || run.over) return;
  run.abandon();
  status.stopClock();
  showState("idle", "Stopped, because you left the page"); // seen when the browser brings the page back as it was
});

$("run-key").textContent = mac ? "⌘ ↵" : "Ctrl ↵";
$("run").title = `Run (${runKeyNames})`;
readArgs();
loadLanguages();
