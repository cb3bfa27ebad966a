import assert from "node:assert/strict";
import { test } from "node:test";

import { show, TEA, until, URL_OF_SERVER } from "./page.ts";
import { HastenClient } from "../../src/client.ts";
import { useRun, type UseRun } from "../../src/react.ts";

const client = new HastenClient({ baseUrl: URL_OF_SERVER });
const seen: UseRun[] = [];
const Page = () => {
  seen.push(useRun(client, { storageKey: "run" }));
  return null;
};
const now = () => seen.at(-1)!;

test("a run is shown as it goes on, phase by phase", async () => {
  sessionStorage.clear();
  const leave = await show(Page);
  assert.equal(now().status, "idle");
  now().start({ ...TEA, speed: 20 }, { reuse: false });
  await until(() => now().status === "complete", "complete");
  assert.ok(seen.some(({ progress, etaMs }) => progress < 1 && etaMs === null));
  assert.ok(seen.some(({ texts, status }) => texts.Draft && status === "running"));
  assert.equal(now().phases.answer?.status, "completed");
  assert.match(String(now().outputs.answer), /facts about tea/);
  await leave();
});

test("stop leaves the run alone, a reload finds it, cancel ends it", async () => {
  sessionStorage.clear();
  const hanging = { app: "toy", inputs: { topic: "tea", trouble: "hang" }, speed: 20 };
  let leave = await show(Page);
  now().start(hanging, { reuse: false });
  await until(() => Boolean(now().runId) && now().status === "running", "running");
  const { runId } = now();
  now().stop();
  assert.equal((await client.show(runId)).status, "running");
  await leave();
  leave = await show(Page);
  await until(() => now().runId === runId && now().status === "running", "taken up again");
  await now().cancel();
  await until(() => now().status === "cancelled", "cancelled");
  assert.equal(now().error?.code, "cancelled");
  await leave();
});

test("a wrong input is an error that names itself", async () => {
  sessionStorage.clear();
  const leave = await show(Page);
  now().start({ app: "toy", inputs: { topic: "beer" } });
  await until(() => now().status === "failed", "failed");
  assert.equal(now().error?.status, 422);
  assert.match(now().error?.message ?? "", /topic/);
  await leave();
});

test("a run that is gone is forgotten", async () => {
  sessionStorage.setItem("run", "run_gone");
  const leave = await show(Page);
  await until(() => now().error?.status === 404, "not found");
  assert.equal(sessionStorage.getItem("run"), null);
  await leave();
});
