export { HastenClient, Problem } from "./client.ts";
export type { Answer, ClientOptions, FieldError, RunRecord, RunRequest, StartOptions } from "./client.ts";
export { follow } from "./follow.ts";
export type { Connect, FollowOptions } from "./follow.ts";
export type * from "./messages.ts";
export { EventParser, messagesOf } from "./sse.ts";
export { IDLE, isOver, takeMessage } from "./state.ts";
export type { PhaseState, RunState } from "./state.ts";
