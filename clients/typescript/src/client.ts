/** A Hasten server: start runs, follow them, cancel them. */

import { follow, type FollowOptions } from "./follow.ts";
import type { RunError, RunMessage, RunStatus } from "./messages.ts";

/** A field of a request that is wrong, and what would do. */
export interface FieldError {
  field: string;
  message: string;
  allowed: string[];
}

/** A "no", as RFC 9457 has it. `isFinal`: asking again is no use. */
export class Problem extends Error {
  readonly status: number;
  readonly title: string;
  readonly errors: FieldError[];
  isFinal: boolean;

  constructor(
    status: number,
    { title = "", detail = "", errors = [] as FieldError[] } = {},
    options?: ErrorOptions,
  ) {
    super(detail || title || `The server answered ${status}.`, options);
    this.name = "Problem";
    this.status = status;
    this.title = title;
    this.errors = errors;
    this.isFinal = status > 0 && status < 500;
  }
}

/** What to run. */
export interface RunRequest {
  app: string;
  inputs: Record<string, unknown>;
  mode?: string;
  /** Pace of the clock; simulated model only. */
  speed?: number;
}

/** A run's own line. */
export interface RunRecord {
  run_id: string;
  app: string;
  mode: string;
  status: RunStatus;
  started_s: number;
  ended_s: number | null;
  duration_s: number;
  degraded_by: string[];
  error: RunError | null;
  [more: string]: unknown;
}

/** A run's whole answer. */
export interface Answer {
  run_id: string;
  status: RunStatus;
  outputs: Record<string, unknown>;
  cached: boolean;
  degraded_by: string[];
  [more: string]: unknown;
}

export interface ClientOptions {
  /** Where the server is; empty: where the page is from. */
  baseUrl?: string;
  /** The caller's key, or what gives it at each request. */
  apiKey?: string | (() => string);
  /** In place of the platform's own. */
  fetch?: typeof fetch;
}

export interface StartOptions extends FollowOptions {
  /** `false`: compute everything anew. */
  reuse?: boolean;
  /** Hears the run's id as soon as there is one. */
  onRun?: (runId: string) => void;
}

export interface Sent {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  cache?: RequestCache;
}

export class HastenClient {
  readonly #baseUrl: string;
  readonly #key: () => string;
  readonly #fetch: typeof fetch;

  constructor({ baseUrl = "", apiKey = "", fetch: given }: ClientOptions = {}) {
    this.#baseUrl = baseUrl.replace(/\/$/, "");
    this.#key = typeof apiKey === "string" ? () => apiKey : apiKey;
    this.#fetch = given ?? ((...asked) => globalThis.fetch(...asked));
  }

  /** Runs and gives the whole answer. */
  run(request: RunRequest, { signal, reuse = true }: StartOptions = {}): Promise<Answer> {
    return this.json("/api/run", { body: request, headers: reusing(reuse), signal, cache: "default" });
  }

  /**
   * Starts a run, once, whatever the connection does, and yields its messages to its end.
   * Leaving the loop, or `signal`, stops following; the run goes on until it is cancelled.
   */
  start(request: RunRequest, options: StartOptions = {}): AsyncGenerator<RunMessage, void> {
    const { signal, reuse = true, onRun = () => {} } = options;
    let runId = "";
    return follow(async (lastId) => {
      if (runId) return this.#events(runId, lastId, signal);
      const headers = { Accept: "text/event-stream", ...reusing(reuse) };
      const asked: Sent = { body: request, headers, signal, cache: "default" };
      const response = await this.request("/api/run/stream", asked).catch((error) => {
        error.isFinal = true; // it may have begun: starting another would pay twice
        throw error;
      });
      runId = response.headers.get("Hasten-Run-Id") ?? "";
      onRun(runId);
      return response;
    }, options);
  }

  /** Yields the messages of a run there is, from the first or after `options.after`, to its end. */
  follow(runId: string, options: FollowOptions = {}): AsyncGenerator<RunMessage, void> {
    return follow((lastId) => this.#events(runId, lastId, options.signal), options);
  }

  /** Ends a run, for everyone who follows it. */
  cancel(runId: string): Promise<RunRecord> {
    return this.json(`${at(runId)}/cancel`, { method: "POST" });
  }

  /** Gives one run with its outputs and spans. */
  show(runId: string): Promise<RunRecord & { outputs: Record<string, unknown> }> {
    return this.json(at(runId));
  }

  /** Gives the newest runs the caller may see. */
  async list(which: { app?: string; limit?: number } = {}): Promise<RunRecord[]> {
    const given = Object.entries(which).map(([name, value]) => [name, String(value)]);
    const query = new URLSearchParams(given);
    return (await this.json<{ runs: RunRecord[] }>(`/api/runs?${query}`)).runs;
  }

  /** Gives what opens one EventSource or WebSocket, once, within a minute: `?ticket=`. */
  async ticket(): Promise<string> {
    return (await this.json<{ ticket: string }>("/api/tickets", { method: "POST" })).ticket;
  }

  /** Sends a request and gives the JSON of its answer. Throws `Problem`. */
  async json<T = any>(path: string, sent: Sent = {}): Promise<T> {
    return (await this.request(path, sent)).json();
  }

  /** Sends a request with the caller's key. Throws `Problem` for any answer that is a "no". */
  async request(path: string, sent: Sent = {}): Promise<Response> {
    const { body, method = body ? "POST" : "GET", signal, cache = "no-store" } = sent;
    const headers: Record<string, string> = { Accept: "application/json", ...sent.headers };
    if (body) headers["Content-Type"] = "application/json";
    if (this.#key()) headers.Authorization = `Bearer ${this.#key()}`;
    const init: RequestInit = { method, headers, cache };
    if (body) init.body = JSON.stringify(body);
    if (signal) init.signal = signal;
    const response = await this.#fetch(this.#baseUrl + path, init).catch((error) => {
      if (signal?.aborted) throw error;
      throw new Problem(0, { detail: "The server cannot be reached." }, { cause: error });
    });
    if (response.ok) return response;
    throw new Problem(response.status, await response.json().catch(() => ({})));
  }

  #events(runId: string, lastId: string, signal?: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (lastId) headers["Last-Event-ID"] = lastId;
    return this.request(`${at(runId)}/events`, { headers, signal });
  }
}

const at = (runId: string) => `/api/runs/${encodeURIComponent(runId)}`;

const reusing = (reuse: boolean): Record<string, string> =>
  reuse ? {} : { "Cache-Control": "no-cache" };
