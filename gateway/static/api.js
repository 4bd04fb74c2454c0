// The HTTP API: every failure comes out as a Problem, whatever its cause.

const PATIENCE_MS = 30_000;

export class Problem extends Error {
  constructor({ title, detail = "", code = "", status = 0, errors = [], retryAfterS = null }) {
    super(title);
    Object.assign(this, { title, detail, code, status, errors, retryAfterS });
  }
}

export const getLanguages = async () => (await call("GET", "/v1/languages")).languages ?? [];

export const createJob = (job, key) =>
  call("POST", "/v1/jobs", {
    body: JSON.stringify(job),
    headers: { "Content-Type": "application/json", "Idempotency-Key": key },
  });

export const getJob = (links) => call("GET", links.self);

export const cancelJob = (links, { leaving = false } = {}) => call("DELETE", links.self, { keepalive: leaving });

export const sendStdin = (links, text, { end = false } = {}) =>
  call("POST", links.stdin + (end ? "?end=1" : ""), {
    body: new TextEncoder().encode(text),
    headers: { "Content-Type": "application/octet-stream" },
  });

// Names one attempt to create a job, so that sending it again can't run it twice.
export function freshKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function call(method, path, options = {}) {
  const aborter = new AbortController();
  const timer = setTimeout(() => aborter.abort(), PATIENCE_MS);
  try {
    const response = await fetch(path, { ...options, method, signal: aborter.signal, cache: "no-store" });
    const text = await response.text();
    if (!response.ok) throw problemFrom(response, text);
    return text && isJson(response) ? JSON.parse(text) : {};
  } catch (error) {
    if (error instanceof Problem) throw error;
    if (error instanceof SyntaxError) {
      throw new Problem({ title: "The answer could not be read", detail: "The server sent something that is not its API." });
    }
    throw new Problem({
      title: aborter.signal.aborted ? "The server does not answer" : "No connection to the server",
      detail: "Your code is still here. Check the connection and try again.",
      code: "no_connection",
    });
  } finally {
    clearTimeout(timer);
  }
}

function problemFrom(response, text) {
  let body = {};
  try {
    if (isJson(response)) body = JSON.parse(text) ?? {};
  } catch {
    // Not from us, a proxy perhaps: the status must do.
  }
  return new Problem({
    title: body.title || `The server answered ${response.status} ${response.statusText}`.trim(),
    detail: body.detail,
    code: body.code,
    status: response.status,
    errors: Array.isArray(body.errors) ? body.errors : [],
    retryAfterS: secondsUntil(response.headers.get("Retry-After")),
  });
}

function isJson(response) {
  return /[/+]json\b/.test(response.headers.get("Content-Type") ?? "");
}

// Retry-After is a number of seconds or a date.
function secondsUntil(header) {
  if (!header) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : null;
}
