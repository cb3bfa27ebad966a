/** A table that scrolls by itself when it is wider than the page. */

import { html } from "./dom.js";

export const Table = ({ heads, children }) => html`
  <div class="scrolled" tabindex="0" role="region" aria-label=${heads[0]}>
    <table>
      <thead>
        <tr>
          ${heads.map((head) => html`<th key=${head} scope="col">${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${children}
      </tbody>
    </table>
  </div>
`;
