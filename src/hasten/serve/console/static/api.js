/** Talking to the server: its routes, the caller's key, its errors. stream.js reads the streams. */

const KEY = "hasten.key";

/** A "no", as RFC 9457 has it; `errors` name the fields. `isFinal`: asking again is no use. */
export class Problem extends Error {
  constructor(status, { title = "", detail = "", errors = [] }) {
    super(detail || title || `The server answered ${status}.`);
    this.status = status;
    this.title = title;
    this.errors = errors;
    this.isFinal = status > 0 && status < 500;
  }
}

/** The caller's key, kept until the tab closes. */
export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

/** `cache` is the browser's own: "no-store" sends `Cache-Control: no-cache` along, "default" none. */
async function request(
  path,
  { body, headers = {}, method = body ? "POST" : "GET", signal, cache = "no-store" } = {},
) {
  const sent = { Accept: "application/json", ...headers };
  if (body) sent["Content-Type"] = "application/json";
  if (key.get()) sent.Authorization = `Bearer ${key.get()}`;
  const init = {
    method,
    headers: sent,
    body: body && JSON.stringify(body),
    signal,
    cache,
  };
  const response = await fetch(path, init).catch((error) => {
    if (signal?.aborted) throw error;
    throw new Problem(0, { detail: "The server cannot be reached." });
  });
  if (response.ok) return response;
  throw new Problem(response.status, await response.json().catch(() => ({})));
}

const json = async (path, options) => (await request(path, options)).json();
const at = (runId) => `/api/runs/${encodeURIComponent(runId)}`;

/** For applications' own pages: the JSON at a path, and what a path answers to a body. */
export const getJson = (path) => json(path);
export const postJson = (path, body) => json(path, { body });

export const listApps = () => json("/api/apps");
export const listRuns = async (app) =>
  (await json(`/api/runs?limit=60&app=${encodeURIComponent(app)}`)).runs;
export const showRun = (runId) => json(at(runId));
export const cancelRun = (runId) => json(`${at(runId)}/cancel`, { method: "POST" });

export const rate = (runId, body) => json(`${at(runId)}/feedback`, { body });
export const regenerate = (runId, body) => json(`${at(runId)}/regenerate`, { body });

export const cacheStats = () => json("/api/cache/stats");
export const cacheEntries = (which) => json(`/api/cache/entries?${new URLSearchParams(which)}`);
export const invalidate = (body) => json("/api/cache/invalidate", { body });
export const explainRun = (body) => json("/api/cache/explain", { body });

/** Returns a `connect` for stream.js that finds a run that exists. */
export function existingRun(runId, signal) {
  return (lastId) => events(runId, lastId, signal);
}

/**
 * Returns a `connect` that starts a run first, once, whatever the connection does.
 * Without `isReusing` everything in it is computed anew.
 */
export function newRun(body, { isReusing, signal }) {
  let runId = "";
  return async (lastId) => {
    if (runId) return events(runId, lastId, signal);
    const headers = { Accept: "text/event-stream" };
    if (!isReusing) headers["Cache-Control"] = "no-cache";
    const asked = { body, headers, signal, cache: "default" };
    const response = await request("/api/run/stream", asked).catch((error) => {
      error.isFinal = true; // it may have begun: starting another would pay twice
      throw error;
    });
    runId = response.headers.get("Hasten-Run-Id") ?? "";
    return response;
  };
}

function events(runId, lastId, signal) {
  const headers = { Accept: "text/event-stream" };
  if (lastId) headers["Last-Event-ID"] = lastId;
  return request(`${at(runId)}/events`, { headers, signal });
}
