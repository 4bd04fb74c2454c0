"use strict";

// Preloaded where Node starts with its job (`node --max-heap-size=N -r <this> main.js`),
// and by starter.js: the program finds Node as if it had been started without options of
// ours. V8 has to be told how large its heap may be, but a program that starts others by
// process.execArgv shall start them as on its own.

const Module = require("node:module");

for (const name of Object.keys(require.cache)) {
  if (name.startsWith(`${__dirname}/`)) delete require.cache[name];
}
for (const key of Object.keys(Module._pathCache)) {
  if (Module._pathCache[key].startsWith(`${__dirname}/`)) delete Module._pathCache[key];
}
process.execArgv.length = 0;
Object.defineProperty(process, "_preload_modules", { value: [] });
