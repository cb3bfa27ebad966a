/** The page's first line: its name, the application, what is simulated, the views, the key. */

import { html } from "./dom.js";

const SIMULATED =
  "No provider is asked: a seeded model answers with the latencies measured for this application.";

/** The views by what the address calls them; an application without a page of its own has no first. */
const VIEWS = {
  page: "Page",
  race: "Race",
  jobs: "Jobs",
  cache: "Cache",
  gateway: "Gateway",
  quality: "Quality",
};

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
      <nav aria-label="Views">
        ${Object.entries(VIEWS).map(
          ([at, label]) =>
            (at !== "page" || app?.page) &&
            html`
              <button
                key=${at}
                type="button"
                class="plain"
                aria-current=${at === view ? "page" : undefined}
                onClick=${() => onView(at)}
              >
                ${label}
              </button>
            `,
        )}
      </nav>
      <button type="button" class="plain" onClick=${onKey}>Key</button>
    </header>
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
