// Numbers and outcomes in words.

const OUTCOMES = {
  success: "Success",
  failure: "Failed",
  signalled: "Killed by a signal",
  timed_out: "Timed out",
  out_of_memory: "Out of memory",
  output_exceeded: "Too much output",
  compile_failed: "Did not compile",
  cancelled: "Stopped",
  internal_error: "Our error",
};

export function outcomeTitle(outcome) {
  return OUTCOMES[outcome] ?? String(outcome).replaceAll("_", " ");
}

// What the badge leaves open: the exit code or signal, and why.
export function outcomeDetail(finished) {
  const parts = [];
  const step = finished.outcome === "compile_failed" ? finished.compile ?? finished : finished;
  const who = step === finished ? "" : "compiler ";
  if (step.signal != null) parts.push(who + "signal " + step.signal);
  else if (step.exit_code != null) parts.push(who + "exit code " + step.exit_code);
  if (finished.message) parts.push(finished.message);
  if (finished.truncated) parts.push("output was cut at the limit");
  if (finished.attempt > 1) parts.push("attempt " + finished.attempt);
  return parts.join(", ");
}

export function milliseconds(ms) {
  if (ms < 10) return `${trim(ms, 1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${trim(ms / 1000, 2)} s`;
}

export function kilobytes(kb) {
  if (kb < 1024) return `${trim(kb, 0)} KB`;
  const mb = kb / 1024;
  return mb < 1024 ? `${trim(mb, mb < 10 ? 1 : 0)} MB` : `${trim(mb / 1024, 1)} GB`;
}

export function usageRows(usage) {
  const rows = [
    ["queue", usage.queue_ms, milliseconds],
    ["compile", usage.compile_ms, milliseconds],
    ["wall", usage.wall_ms, milliseconds],
    ["cpu", usage.cpu_ms, milliseconds],
    ["memory", usage.memory_kb, kilobytes],
  ];
  return rows.filter(([, value]) => value != null).map(([name, value, show]) => [name, show(value)]);
}

// "5 s, 256 MB of memory and 1 MB of output"
export function limitsLine(limits) {
  const parts = [];
  if (limits?.wall_time_s != null) parts.push(`${limits.wall_time_s} s`);
  if (limits?.memory_mb != null) parts.push(`${kilobytes(limits.memory_mb * 1024)} of memory`);
  if (limits?.output_kb != null) parts.push(`${kilobytes(limits.output_kb)} of output`);
  const last = parts.pop();
  return parts.length ? `${parts.join(", ")} and ${last}` : last ?? "";
}

function trim(value, digits) {
  return String(Number(value.toFixed(digits)));
}
