// Built from clients/typescript/src/client.ts by make console: 4e42b4887745a7679758bd025139ba08 3168dca052ab3bf687748efa00e57d74
/** A Hasten server: start runs, follow them, cancel them. */
import { follow } from "./follow.js";
/** A "no", as RFC 9457 has it. `isFinal`: asking again is no use. */
export class Problem extends Error {
    status;
    title;
    errors;
    isFinal;
    constructor(status, { title = "", detail = "", errors = [] } = {}, options) {
        super(detail || title || `The server answered ${status}.`, options);
        this.name = "Problem";
        this.status = status;
        this.title = title;
        this.errors = errors;
        this.isFinal = status > 0 && status < 500;
    }
}
export class HastenClient {
    #baseUrl;
    #key;
    #fetch;
    constructor({ baseUrl = "", apiKey = "", fetch: given } = {}) {
        this.#baseUrl = baseUrl.replace(/\/$/, "");
        this.#key = typeof apiKey === "string" ? () => apiKey : apiKey;
        this.#fetch = given ?? ((...asked) => globalThis.fetch(...asked));
    }
    /** Runs and gives the whole answer. */
    run(request, { signal, reuse = true } = {}) {
        return this.json("/api/run", { body: request, headers: reusing(reuse), signal, cache: "default" });
    }
    /**
     * Starts a run, once, whatever the connection does, and yields its messages to its end.
     * Leaving the loop, or `signal`, stops following; the run goes on until it is cancelled.
     */
    start(request, options = {}) {
        const { signal, reuse = true, onRun = () => { } } = options;
        let runId = "";
        return follow(async (lastId) => {
            if (runId)
                return this.#events(runId, lastId, signal);
            const headers = { Accept: "text/event-stream", ...reusing(reuse) };
            const asked = { body: request, headers, signal, cache: "default" };
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
    follow(runId, options = {}) {
        return follow((lastId) => this.#events(runId, lastId, options.signal), options);
    }
    /** Ends a run, for everyone who follows it. */
    cancel(runId) {
        return this.json(`${at(runId)}/cancel`, { method: "POST" });
    }
    /** Gives one run with its outputs and spans. */
    show(runId) {
        return this.json(at(runId));
    }
    /** Gives the newest runs the caller may see. */
    async list(which = {}) {
        const given = Object.entries(which).map(([name, value]) => [name, String(value)]);
        const query = new URLSearchParams(given);
        return (await this.json(`/api/runs?${query}`)).runs;
    }
    /** Gives what opens one EventSource or WebSocket, once, within a minute: `?ticket=`. */
    async ticket() {
        return (await this.json("/api/tickets", { method: "POST" })).ticket;
    }
    /** Sends a request and gives the JSON of its answer. Throws `Problem`. */
    async json(path, sent = {}) {
        return (await this.request(path, sent)).json();
    }
    /** Sends a request with the caller's key. Throws `Problem` for any answer that is a "no". */
    async request(path, sent = {}) {
        const { body, method = body ? "POST" : "GET", signal, cache = "no-store" } = sent;
        const headers = { Accept: "application/json", ...sent.headers };
        if (body)
            headers["Content-Type"] = "application/json";
        if (this.#key())
            headers.Authorization = `Bearer ${this.#key()}`;
        const init = { method, headers, cache };
        if (body)
            init.body = JSON.stringify(body);
        if (signal)
            init.signal = signal;
        const response = await this.#fetch(this.#baseUrl + path, init).catch((error) => {
            if (signal?.aborted)
                throw error;
            throw new Problem(0, { detail: "The server cannot be reached." }, { cause: error });
        });
        if (response.ok)
            return response;
        throw new Problem(response.status, await response.json().catch(() => ({})));
    }
    #events(runId, lastId, signal) {
        const headers = { Accept: "text/event-stream" };
        if (lastId)
            headers["Last-Event-ID"] = lastId;
        return this.request(`${at(runId)}/events`, { headers, signal });
    }
}
const at = (runId) => `/api/runs/${encodeURIComponent(runId)}`;
const reusing = (reuse) => reuse ? {} : { "Cache-Control": "no-cache" };
