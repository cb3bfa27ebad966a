/** What a stream of a run tells, in Hasten's own protocol (`format=hasten`). */

/** How a run stands; the last four are ends. */
export type RunStatus = "queued" | "running" | "complete" | "degraded" | "failed" | "cancelled";

/** What went wrong, as a stable word and in words. */
export interface RunError {
  code: string;
  message: string;
}

/** A phase goes on, or the whole run gets further. */
export interface Progress {
  phase: string;
  status: "in_progress";
  /** 0 to 1. */
  progress: number;
  /** `null` when it cannot be said. */
  estimated_remaining_ms: number | null;
  current_step: string;
  run_id: string;
}

/** One output is ready: `data` holds it by its name. */
export interface Output {
  phase: string;
  status: "completed";
  data: Record<string, unknown>;
  progress: number;
  estimated_remaining_ms: number | null;
  run_id: string;
}

/** The run has ended; nothing comes after it. */
export interface End {
  run_id: string;
  complete: true;
  status: Exclude<RunStatus, "queued" | "running">;
  progress: number;
  estimated_remaining_ms: number;
  degraded_by: string[];
  error: RunError | null;
  reuse: Record<string, unknown>;
}

/** Who runs what: the first message. Times are seconds since the Unix epoch on the run's clock. */
export interface Started {
  run_id: string;
  started_s: number;
  app: string;
  mode: string;
  clock: string;
  speed: number;
  simulated: boolean;
}

/** A piece of a section as it is written; replaced: all of it, in place of what was written. */
export interface Text {
  section: string;
  text: string;
  at_s: number;
}

/** A step, tool, model or cache call: told when it begins and when it ends. */
export interface Span {
  span_id: number;
  parent_id: number | null;
  kind: string;
  name: string;
  start_s: number;
  end_s: number | null;
  status: string;
  attributes: Record<string, unknown>;
}

/** Something went on without what it wanted. */
export interface Degraded {
  step: string;
  reason: string;
  at_s: number;
}

/** Events are gone; with no `last`, what follows is told from the stored result. */
export interface Gap {
  first: number;
  last: number | null;
}

/** One message; `id` says how much of the run was seen with it. */
export type RunMessage =
  | { id: string; event: "run"; data: Started }
  | { id: string; event: "progress"; data: Progress }
  | { id: string; event: "output"; data: Output }
  | { id: string; event: "text" | "text.replaced"; data: Text }
  | { id: string; event: "span"; data: Span }
  | { id: string; event: "degraded"; data: Degraded }
  | { id: string; event: "gap"; data: Gap }
  | { id: string; event: "end"; data: End };

/** Names a message that has none on the wire by what it tells. */
export function messageOf(id: string, event: string, data: any): RunMessage {
  const plain = data.complete ? "end" : data.status === "completed" ? "output" : "progress";
  return { id, event: event || plain, data } as RunMessage;
}
