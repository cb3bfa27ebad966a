/** A page in this process: React on happy-dom, against the server at `HASTEN_URL`. */

import { Window } from "happy-dom";
import { createElement, type FunctionComponent } from "react";

export const URL_OF_SERVER = process.env.HASTEN_URL ?? "http://127.0.0.1:8000";
export const TEA = { app: "toy", inputs: { topic: "tea", note: "with milk" } };

const window = new Window({ url: URL_OF_SERVER });
const { document, sessionStorage } = window;
Object.assign(globalThis, { window, document, sessionStorage });

/** Shows a component; returns what takes it away again. */
export async function show(component: FunctionComponent): Promise<() => void> {
  const { createRoot } = await import("react-dom/client");
  const root = createRoot(globalThis.document.body.appendChild(globalThis.document.createElement("div")));
  root.render(createElement(component));
  await new Promise((resolve) => setTimeout(resolve, 50));
  return () => root.unmount();
}

/** Waits until `holds`, looking after each change; throws after 20 seconds. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let looks = 0; !holds(); looks += 1) {
    if (looks > 2_000) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
