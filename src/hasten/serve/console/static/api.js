/** The server's routes, and the caller's key. */

import { HastenClient } from "./client/client.js";

const KEY = "hasten.key";

/** The caller's key, kept until the tab closes. */
export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

/** The server this page is from: runs are started, followed and cancelled through it. */
export const client = new HastenClient({ apiKey: key.get });

const json = (path, options) => client.json(path, options);
const at = (runId) => `/api/runs/${encodeURIComponent(runId)}`;

/** For applications' own pages: the JSON at a path, and what a path answers to a body. */
export const getJson = (path) => json(path);
export const postJson = (path, body) => json(path, { method: "POST", body });

/** Gives each message to `take`; resolves to the run's id at its end, to nothing if it was left. */
export async function readAll(messages, take) {
  for await (const message of messages) {
    take(message);
    if (message.event === "end") return message.data.run_id;
  }
  return undefined;
}

/** Opens a WebSocket at a path of this server; a caller with a key shows a ticket. */
export async function openSocket(path) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  if (key.get()) {
    const { ticket } = await json("/api/tickets", { method: "POST" });
    url.searchParams.set("ticket", ticket);
  }
  return new WebSocket(url);
}

export const listApps = () => json("/api/apps");
export const listRuns = (app) => client.list({ app, limit: 60 });
export const showRun = (runId) => client.show(runId);

export const rate = (runId, body) => json(`${at(runId)}/feedback`, { body });
export const regenerate = (runId, body) => json(`${at(runId)}/regenerate`, { body });

export const feedbackTotals = (app) => json(`/api/feedback?app=${encodeURIComponent(app)}`);
export const listResults = (app) =>
  json(`/api/results?limit=20&app=${encodeURIComponent(app)}`);
export const health = () => json("/health");

export const listCrons = () => json("/api/cron");
export const listJobs = (which) => json(`/api/jobs?${new URLSearchParams(which)}`);
export const cancelJob = (jobId) => json(`/api/jobs/${jobId}/cancel`, { method: "POST" });
export const retryJob = (jobId) => json(`/api/jobs/${jobId}/retry`, { method: "POST" });

export const gatewayFigures = () => json("/api/gateway");
export const gatewayCalls = (which) => json(`/api/gateway/calls?${new URLSearchParams(which)}`);

export const cacheStats = () => json("/api/cache/stats");
export const cacheEntries = (which) => json(`/api/cache/entries?${new URLSearchParams(which)}`);
export const invalidate = (body) => json("/api/cache/invalidate", { body });
export const explainRun = (body) => json("/api/cache/explain", { body });
