/** An application's own page, at `/apps/<name>`: a module of its own, loaded when first shown. */

import { html, useEffect, useState } from "./dom.js";

const BELOW = "/apps/";

/** The name of the application the address asks for, or nothing. */
export const appInAddress = () =>
  location.pathname.startsWith(BELOW)
    ? decodeURIComponent(location.pathname.slice(BELOW.length))
    : "";

/** Puts the application into the address, so that reloading finds it again. */
export function putInAddress(app) {
  const [family] = app.name.split(".");
  history.pushState(null, "", BELOW + encodeURIComponent(family));
}

/**
 * The page `app` brings: what its module exports as default is a component, which is given
 * `app` and `onError`. It imports what it needs of the console from `/console/…`.
 */
export function AppPage({ app, onError }) {
  const [page, setPage] = useState(null);
  const { module, style } = app.page;
  useEffect(() => {
    if (style) addStyle(style);
    import(module).then((found) => setPage({ Component: found.default }), onError);
  }, [module]);
  if (!page) return null;
  return html`<div class="app-page"><${page.Component} app=${app} onError=${onError} /></div>`;
}

function addStyle(href) {
  if (document.querySelector(`link[href="${CSS.escape(href)}"]`)) return;
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
  document.head.append(link);
}
