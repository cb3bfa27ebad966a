/** The notebook's page. */

import { html } from "/console/dom.js";

export default function Notebook({ app }) {
  return html`<h2>${app.title} by itself</h2>`;
}
