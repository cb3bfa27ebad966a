/** The caller's key: asked for when the server wants one, kept until the tab closes. */

import { html, useEffect, useRef } from "./dom.js";
import { key } from "./api.js";

/** A dialog; `isOpen` shows it, `onClose(isChanged)` hears how it was left. Esc leaves it. */
export function KeyDialog({ isOpen, onClose }) {
  const dialog = useRef(null);
  const input = useRef(null);
  useEffect(() => {
    if (isOpen && !dialog.current.open) {
      dialog.current.returnValue = "";
      dialog.current.showModal();
    }
  }, [isOpen]);
  const leave = () => {
    const isChanged =
      dialog.current.returnValue === "use" && input.current.value.trim() !== key.get();
    if (isChanged) key.set(input.current.value.trim());
    onClose(isChanged);
  };
  return html`
    <dialog ref=${dialog} class="dialog" aria-labelledby="key-title" onClose=${leave}>
      <form method="dialog">
        <h2 id="key-title">Key</h2>
        <p>
          A server on this machine needs none until one is made; <code>hasten keys create</code>${" "}
          makes one. It is kept here until this tab closes.
        </p>
        <label class="field">
          <span class="field-title">Bearer key</span>
          <input
            ref=${input}
            type="password"
            autocomplete="off"
            spellcheck="false"
            defaultValue=${key.get()}
          />
        </label>
        <div class="dialog-buttons">
          <button type="button" onClick=${() => dialog.current.close()}>Cancel</button>
          <button value="use" class="run">Use</button>
        </div>
      </form>
    </dialog>
  `;
}
