/** Markdown from a model as elements that are safe to show. A model's words are never trusted. */

import { Marked } from "./vendor/marked.js";
import DOMPurify from "./vendor/purify.js";

const ALLOWED = {
  ALLOWED_TAGS: [
    ..."h1 h2 h3 h4 h5 h6 p br hr strong em del code pre blockquote ul ol li a".split(" "),
    ..."table thead tbody tr th td".split(" "),
  ],
  ALLOWED_ATTR: ["href", "title", "align", "start"],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|#)/i,
  RETURN_DOM_FRAGMENT: true,
};

// The page has its own h1 and h2: a report's headings begin below them.
const marked = new Marked({
  gfm: true,
  walkTokens(token) {
    if (token.type === "heading") token.depth = Math.min(6, token.depth + 2);
  },
});

/** Returns the elements that `text` stands for: its structure, links and tables, nothing else. */
export function render(text) {
  const fragment = DOMPurify.sanitize(marked.parse(text), ALLOWED);
  for (const link of fragment.querySelectorAll("a[href]")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  return fragment;
}
