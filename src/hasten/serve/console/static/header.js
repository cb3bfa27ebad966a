/** The page's first line: its name, the application, what is simulated, the key. */

import { html } from "./dom.js";

const SIMULATED =
  "No provider is asked: a seeded model answers with the latencies measured for this application.";

export function Header({ apps, app, onChoose, view, onView, onKey }) {
  return html`
    <header class="top">
      <h1><img src="/console/icon.svg" alt="" width="22" height="22" />Hasten</h1>
      <${Apps} apps=${apps} app=${app} onChoose=${onChoose} />
      <p class="about">${app?.about ?? ""}</p>
      ${
        app?.simulated &&
        html`<p class="badge" title=${SIMULATED}>Simulated model · figures are simulated seconds</p>`
      }
      ${app?.page && html`<${Toggle} at="page" label="Page" view=${view} onView=${onView} />`}
      <${Toggle} at="jobs" label="Jobs" view=${view} onView=${onView} />
      <${Toggle} at="cache" label="Cache" view=${view} onView=${onView} />
      <${Toggle} at="quality" label="Quality" view=${view} onView=${onView} />
      <button type="button" class="plain" onClick=${onKey}>Key</button>
    </header>
  `;
}

/** A button that opens a view; pressed again it goes back to the races. */
function Toggle({ at, label, view, onView }) {
  const isOpen = view === at;
  const toggle = () => onView(isOpen ? "race" : at);
  return html`
    <button type="button" class="plain" aria-pressed=${isOpen} onClick=${toggle}>
      ${isOpen ? "Races" : label}
    </button>
  `;
}

function Apps({ apps, app, onChoose }) {
  if (apps.length < 2) return html`<span class="app-title">${app?.title ?? ""}</span>`;
  const choose = (event) => onChoose(apps.find((one) => one.name === event.target.value));
  return html`
    <select class="apps" aria-label="Application" value=${app?.name} onChange=${choose}>
      ${apps.map((one) => html`<option key=${one.name} value=${one.name}>${one.title}</option>`)}
    </select>
  `;
}
