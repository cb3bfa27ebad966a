/** What a page shows of a run, made from its messages alone. Pure. */

import type { RunError, RunMessage, RunStatus } from "./messages.ts";

/** A phase: whether it goes on or is done, what it does now, what came of it. */
export interface PhaseState {
  status: "in_progress" | "completed";
  currentStep: string;
  data: Record<string, unknown>;
}

/** What is known of a run. */
export interface RunState {
  runId: string;
  /** `idle` before anything was started, `lost` when the server cannot be reached any more. */
  status: "idle" | "starting" | RunStatus | "lost";
  phases: Record<string, PhaseState>;
  /** What was written so far, by section. */
  texts: Record<string, string>;
  outputs: Record<string, unknown>;
  /** 0 to 1. */
  progress: number;
  /** Milliseconds that are left; `null` when it cannot be said. */
  etaMs: number | null;
  currentStep: string;
  degradedBy: string[];
  /** Events of these numbers were gone. */
  gaps: { first: number; last: number | null }[];
  error: (RunError & { status?: number }) | null;
  isCached: boolean;
  isConnected: boolean;
}

/** Nothing was started. */
export const IDLE: RunState = Object.freeze({
  runId: "",
  status: "idle",
  phases: {},
  texts: {},
  outputs: {},
  progress: 0,
  etaMs: null,
  currentStep: "",
  degradedBy: [],
  gaps: [],
  error: null,
  isCached: false,
  isConnected: true,
});

/** Whether the run has ended, one way or another. */
export const isOver = ({ status }: RunState): boolean =>
  !["idle", "starting", "queued", "running"].includes(status);

/** Takes one message into what is known. */
export function takeMessage(run: RunState, { event, data }: RunMessage): RunState {
  switch (event) {
    case "run":
      return { ...run, runId: data.run_id, status: "running" };
    case "text":
      return withText(run, data.section, (run.texts[data.section] ?? "") + data.text);
    case "text.replaced":
      return withText(run, data.section, data.text);
    case "progress": {
      const before = run.phases[data.phase];
      const now: PhaseState = before ?? { status: "in_progress", currentStep: "", data: {} };
      const phases = { ...run.phases, [data.phase]: { ...now, currentStep: data.current_step } };
      return { ...run, phases, ...further(data), currentStep: data.current_step };
    }
    case "output": {
      const made = { ...run.phases[data.phase]?.data, ...data.data };
      const phase: PhaseState = { status: "completed", currentStep: "", data: made };
      const outputs = { ...run.outputs, ...data.data };
      return { ...run, phases: { ...run.phases, [data.phase]: phase }, outputs, ...further(data) };
    }
    case "gap":
      return { ...run, gaps: [...run.gaps, data] };
    case "end":
      return {
        ...run,
        runId: data.run_id,
        status: data.status,
        progress: 1,
        etaMs: 0,
        currentStep: "",
        degradedBy: data.degraded_by,
        error: data.error,
        isCached: Boolean(data.reuse?.cached),
      };
    default:
      return run;
  }
}

const withText = (run: RunState, section: string, text: string): RunState => ({
  ...run,
  texts: { ...run.texts, [section]: text },
});

const further = (data: { progress: number; estimated_remaining_ms: number | null }) => ({
  progress: data.progress,
  etaMs: data.estimated_remaining_ms,
});
