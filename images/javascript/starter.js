"use strict";

// Starts Node before there is a job, waits for one, then lets it become `node main.js`.
//
// Preloaded (`node -r starter.js main.js`), so that Node itself runs the program after
// this file has returned: no frame of it is on the program's stack. The job comes on
// fd 3 as one frame: four bytes of length, most significant first, then texts that each
// end with a NUL: the folder, how many arguments, these, and the environment. What could
// tell the program of this file is undone before it runs; left are, in /proc, when the
// process began and its command line, and in V8's own trace of its collections the time
// since that began.

const fs = require("node:fs");
const Module = require("node:module");
const path = require("node:path");
const { isMainThread } = require("node:worker_threads");

const JOB_FD = 3;
const OPTIONS_END = 4; // of the command in language.toml: what follows is the main file

function readExactly(length) {
  const bytes = Buffer.allocUnsafeSlow(length);
  let have = 0;
  while (have < length) {
    const got = fs.readSync(JOB_FD, bytes, have, length - have, null);
    if (got === 0) process.reallyExit(0); // the launcher has gone, and the job with it
    have += got;
  }
  return bytes;
}

function readJob() {
  const length = readExactly(4).readUInt32BE(0);
  const [cwd, count, ...texts] = readExactly(length).toString().split("\0");
  fs.closeSync(JOB_FD);
  texts.pop(); // behind the last NUL
  const argv = texts.splice(0, Number(count));
  const env = texts.map((text) => {
    const end = text.indexOf("=");
    return [text.slice(0, end), text.slice(end + 1)];
  });
  return { argv, env, cwd };
}

// What nearly every program makes Node load; loading leaves no state behind.
function loadEarly() {
  for (const name of ["net", "tty", "readline", "util", "child_process", "timers"]) {
    require(`node:${name}`);
  }
  require("node:util").inspect({ list: [1, "two"] });
}

function become({ argv, env, cwd }) {
  for (const name of Object.keys(process.env)) delete process.env[name];
  for (const [name, value] of env) process.env[name] = value;
  process.chdir(cwd);
  Module._initPaths(); // reads HOME and NODE_PATH
  const announced = process.argv[1];
  const [name, ...args] = argv.slice(OPTIONS_END);
  const main = path.resolve(cwd, name); // as Node does with its own command line
  process.argv.length = 0;
  process.argv.push(process.execPath, main, ...args);
  if (main !== announced) runInstead(main);
}

// Node calls Module.runMain with the name it was started with. A getter hands it,
// once, the same function bound to the job's name: a bound function leaves no frame.
function runInstead(main) {
  const runMain = Module.runMain;
  Object.defineProperty(Module, "runMain", {
    configurable: true,
    enumerable: true,
    get() {
      Object.defineProperty(Module, "runMain", {
        configurable: true,
        enumerable: true,
        writable: true,
        value: runMain,
      });
      return runMain.bind(Module, main);
    },
  });
}

// A worker thread of the program's own preloads what its parent did.
if (isMainThread) {
  loadEarly();
  const setClocks = require("./starter.clocks.js")();
  const waits = process.hrtime.bigint();
  const job = readJob();
  setClocks(process.hrtime.bigint() - waits);
  become(job);
}
require("./starter.cold.js");
