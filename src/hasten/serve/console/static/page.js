/**
 * Where in the console one is, as the address says it: `/apps/<name>?view=<view>`; and an
 * application's own page, a module of its own, loaded when first shown.
 */

import { html, useEffect, useState } from "./dom.js";

const BELOW = "/apps/";

/** The name of the application the address asks for, or nothing. */
export const appInAddress = () =>
  location.pathname.startsWith(BELOW)
    ? decodeURIComponent(location.pathname.slice(BELOW.length))
    : "";

/** Puts the application into the address, so that reloading finds it and the view again. */
export function putInAddress(app, view) {
  const [family] = app.name.split(".");
  history.pushState(null, "", `${BELOW}${encodeURIComponent(family)}?view=${view}`);
}

const viewInAddress = () =>
  new URLSearchParams(location.search).get("view") ?? (appInAddress() ? "page" : "race");

/** The view shown and a function that shows another; `onBack` is called when Back changed it. */
export function useView(onBack) {
  const [view, setView] = useState(viewInAddress);
  const show = (next) => {
    if (next !== viewInAddress()) history.pushState(null, "", `?view=${next}${location.hash}`);
    setView(next);
  };
  useEffect(() => {
    const onPopState = () => {
      setView(viewInAddress());
      onBack();
    };
    addEventListener("popstate", onPopState);
    return () => removeEventListener("popstate", onPopState);
  }, [onBack]);
  return [view, show];
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
