"use strict";

// Sets Node's clocks that count from its start forward by the time for which it waited:
// process.uptime(), performance.now() and .timeOrigin, performance.nodeTiming, and what
// timers count from. Node has no call for that. So the times are written where it keeps
// them, in its own memory: three are variables that its library names (find_clocks.py),
// and by their values the two objects are found that have copies. Where one is not
// found, or memory can't be written (another runtime's kernel), all stay as they are.

const fs = require("node:fs");

const BYTES = 8;
const NS_PER_MS = 1_000_000n;
const MILESTONES = 8; // their order is that of node_perf_common.h
const NEAR_BYTES = 1024; // of each other in an Environment
const PIECE_BYTES = 1 << 18;
const EARLY_BYTES = 1 << 20; // of the heap: what other libraries take before Node begins

function rangeOf(maps, name) {
  const line = maps.split("\n").find((one) => one.endsWith(name));
  return line.split(" ", 1)[0].split("-").map((text) => parseInt(text, 16));
}

function read(memory, address, length) {
  const bytes = Buffer.allocUnsafe(length);
  return bytes.subarray(0, fs.readSync(memory, bytes, 0, length, address));
}

// Returns where these bytes are, of what lies between two addresses; it begins to look
// at a third one, goes on to the end, and only then to what is before.
function find(memory, [from, to], likely, wanted) {
  const first = Math.min(likely, to);
  for (const [start, end] of [[first, to], [from, first + wanted.length]]) {
    for (let at = start; at < end; at += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES + wanted.length, end - at);
      const found = read(memory, at, length).indexOf(wanted);
      if (found >= 0) return at + found;
    }
  }
  throw new Error("not found");
}

function integer(value) {
  const bytes = Buffer.allocUnsafe(BYTES);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function double(value) {
  const bytes = Buffer.allocUnsafe(BYTES);
  bytes.writeDoubleLE(value);
  return bytes;
}

// Returns each clock: its address, and its bytes if that much later had been the start.
function findClocks(memory) {
  const { library, places } = JSON.parse(fs.readFileSync("/opt/warmbox/clocks.json"));
  const maps = fs.readFileSync("/proc/self/maps", "latin1");
  const [base] = rangeOf(maps, `/${library}`);
  const heap = rangeOf(maps, "[heap]");
  const [node, start, wall] = ["node", "process", "wall"].map((name) =>
    read(memory, base + places[name], BYTES),
  );
  const startNs = start.readBigUInt64LE();
  const origin = find(memory, heap, heap[0] + EARLY_BYTES, Buffer.concat([start, wall]));
  const pair = Buffer.concat([wall, double(Number(startNs))]);
  const milestones = find(memory, heap, origin, pair);
  const times = read(memory, milestones, MILESTONES * BYTES);
  const [timers, timersMs] = findTimers(memory, origin, startNs, times);
  const later = (ns) => Buffer.concat([integer(startNs + ns), laterWall(wall, ns)]);
  return [
    [base + places.node, (ns) => integer(node.readBigUInt64LE() + ns)],
    [base + places.process, (ns) => integer(startNs + ns)],
    [base + places.wall, (ns) => laterWall(wall, ns)],
    [origin, later],
    [milestones, (ns) => laterMilestones(times, ns)],
    [timers, (ns) => integer(timersMs + ns / NS_PER_MS)],
  ];
}

// Microseconds of the wall clock.
function laterWall(bytes, ns) {
  return double(bytes.readDoubleLE() + Number(ns / 1000n));
}

// The wall clock's time of the start, then nanoseconds; those to come are negative.
function laterMilestones(times, ns) {
  const all = [laterWall(times, ns)];
  for (let at = BYTES; at < times.length; at += BYTES) {
    const time = times.readDoubleLE(at);
    all.push(double(time < 0 ? time : time + Number(ns)));
  }
  return Buffer.concat(all);
}

// What timers count from, in the same object as the origin: whole milliseconds.
function findTimers(memory, origin, startNs, times) {
  let end = 0;
  for (let at = BYTES; at < times.length; at += BYTES) {
    end = Math.max(end, times.readDoubleLE(at));
  }
  const [from, to] = [startNs / NS_PER_MS, BigInt(end) / NS_PER_MS];
  const near = origin - NEAR_BYTES;
  const bytes = read(memory, near, 2 * NEAR_BYTES);
  const found = [];
  for (let at = 0; at + BYTES <= bytes.length; at += BYTES) {
    if (bytes.readUInt32LE(at + 4) !== Number(from >> 32n)) continue;
    const value = bytes.readBigUInt64LE(at);
    if (value >= from && value <= to) found.push([near + at, value]);
  }
  if (found.length !== 1) throw new Error("not one");
  return found[0];
}

function setForward(memory, clocks, ns) {
  for (const [at, later] of clocks) {
    const bytes = later(ns);
    fs.writeSync(memory, bytes, 0, bytes.length, at);
  }
}

// Returns what sets the clocks forward by so many nanoseconds.
module.exports = () => {
  let memory;
  try {
    memory = fs.openSync("/proc/self/mem", "r+");
    const clocks = findClocks(memory);
    setForward(memory, clocks, 0n); // it may not be allowed; and the way is gone once
    return (ns) => {
      setForward(memory, clocks, ns);
      fs.closeSync(memory);
    };
  } catch {
    if (memory !== undefined) fs.closeSync(memory);
    return () => {};
  }
};
