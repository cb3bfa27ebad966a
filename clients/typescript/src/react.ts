/** React's hook for one run: started, followed, taken up again after a reload. */

import { useCallback, useEffect, useRef, useState } from "react";

import { HastenClient, Problem, type RunRequest, type StartOptions } from "./client.ts";
import type { RunMessage } from "./messages.ts";
import { IDLE, isOver, takeMessage, type RunState } from "./state.ts";

export interface UseRunOptions {
  /** Keeps the run's id in the tab under this name, so that a reload finds it again. */
  storageKey?: string;
}

export interface UseRun extends RunState {
  /** Starts a run and follows it, in place of one that was followed. */
  start: (request: RunRequest, options?: Pick<StartOptions, "reuse">) => void;
  /** Follows a run there is. */
  attach: (runId: string) => void;
  /** Stops following; the run goes on. */
  stop: () => void;
  /** Ends the run, for everyone. */
  cancel: () => Promise<void>;
}

/** Gives what is known of a run and what can be done with it. Make `client` outside the component. */
export function useRun(client: HastenClient, { storageKey = "" }: UseRunOptions = {}): UseRun {
  const [run, setRun] = useState<RunState>(IDLE);
  const following = useRef(new AbortController());
  const runId = useRef("");
  const isCancelled = useRef(false);

  const follow = useCallback(
    (open: (options: StartOptions) => AsyncIterable<RunMessage>, known: string) => {
      following.current.abort();
      const { signal } = (following.current = new AbortController());
      const tell = (change: (before: RunState) => RunState) => {
        if (!signal.aborted) setRun(change);
      };
      const onRun = (id: string) => {
        runId.current = id;
        keep(storageKey, id);
        tell((before) => ({ ...before, runId: id }));
        // Cancel may be pressed before a run has told its id: then it ends as soon as it has.
        if (isCancelled.current) void client.cancel(id).catch(() => {});
      };
      const onConnection = (isConnected: boolean) => tell((before) => ({ ...before, isConnected }));
      runId.current = "";
      isCancelled.current = false;
      tell(() => ({ ...IDLE, status: "starting" }));
      if (known) onRun(known);
      const read = async () => {
        for await (const message of open({ signal, onConnection, onRun })) {
          tell((before) => takeMessage(before, message));
        }
      };
      read().catch((error) => {
        if (error instanceof Problem && error.status === 404) keep(storageKey, "");
        tell((before) => failed(before, error));
      });
    },
    [client, storageKey],
  );

  const start = useCallback<UseRun["start"]>(
    (request, options) => follow((more) => client.start(request, { ...options, ...more }), ""),
    [client, follow],
  );
  const attach = useCallback<UseRun["attach"]>(
    (id) => follow((more) => client.follow(id, more), id),
    [client, follow],
  );
  const stop = useCallback(() => following.current.abort(), []);
  const cancel = useCallback(async () => {
    isCancelled.current = true;
    if (runId.current) await client.cancel(runId.current);
  }, [client]);

  useEffect(() => {
    const id = kept(storageKey);
    if (id) attach(id);
    return stop;
  }, [storageKey, attach, stop]);
  return { ...run, start, attach, stop, cancel };
}

function failed(run: RunState, error: unknown): RunState {
  const { message, status } = error as Partial<Problem>;
  const isLost = Boolean(run.runId) && !(error instanceof Problem && error.isFinal);
  const told = { code: isLost ? "lost" : "refused", message: message ?? String(error) };
  const shown = isOver(run) ? run.status : isLost ? "lost" : "failed";
  return { ...run, status: shown, error: status ? { ...told, status } : told };
}

function keep(name: string, runId: string): void {
  if (!name) return;
  try {
    if (runId) sessionStorage.setItem(name, runId);
    else sessionStorage.removeItem(name);
  } catch {
    // a page may be denied its storage: then a reload does not find the run
  }
}

function kept(name: string): string {
  try {
    return name ? (sessionStorage.getItem(name) ?? "") : "";
  } catch {
    return "";
  }
}
