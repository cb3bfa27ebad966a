/** The inputs of a run: fields from the application's schema, samples, pace, and the button. */

import { html, useEffect, useRef } from "./dom.js";
import { title } from "./format.js";
import { fieldsOf } from "./schema.js";

const SPEEDS = [1, 4, 10, 40];

/**
 * `form` is `{values, modes, speed, isReusing}`; `errors` are the server's, by field name.
 * Ctrl+Enter anywhere in the form runs it.
 */
export function Form({
  app,
  form,
  errors,
  isRunning,
  onChange,
  onSample,
  onField,
  onRun,
  onCancel,
}) {
  const element = useRef(null);
  useEffect(() => {
    element.current?.querySelector("[aria-invalid=true]")?.focus();
  }, [errors]);
  const submit = (event) => {
    event.preventDefault();
    if (!isRunning) onRun();
  };
  const onKeyDown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
  };
  const fields = fieldsOf(app.inputs, form.values);
  return html`
    <form
      class="form"
      ref=${element}
      onSubmit=${submit}
      onKeyDown=${onKeyDown}
      noValidate
      aria-label="Inputs"
    >
      <${Samples} app=${app} chosen=${form.sample} onSample=${onSample} />
      <div class="fields">
        ${fields.map(
          (field) => html`<${Field}
            key=${field.name}
            field=${field}
            value=${form.values[field.name] ?? ""}
            error=${errors[field.name]}
            onInput=${(value) => onField(field.name, value)}
          />`,
        )}
      </div>
      <div class="go">
        ${
          app.modes.length > 1 &&
          html`<${Choice}
          name="modes"
          legend="Run"
          value=${form.modes}
          options=${[["both", "Race"], ...app.modes.map((mode) => [mode, title(mode)])]}
          onChange=${(modes) => onChange({ modes })}
        />`
        }
        ${
          app.simulated &&
          html`<${Choice}
          name="speed"
          legend="Speed"
          value=${form.speed}
          options=${SPEEDS.map((speed) => [speed, `${speed}×`])}
          onChange=${(speed) => onChange({ speed })}
        />`
        }
        <${Choice}
          name="reuse"
          legend="Reuse"
          value=${form.isReusing}
          options=${[
            [true, "What is fresh"],
            [false, "Nothing"],
          ]}
          onChange=${(isReusing) => onChange({ isReusing })}
        />
        <div class="buttons">
          <button class="run" type="submit" disabled=${isRunning} title="Ctrl+Enter">
            ${isRunning ? "Running…" : "Run"}
          </button>
          ${isRunning && html`<${Cancel} onCancel=${onCancel} />`}
        </div>
      </div>
    </form>
  `;
}

const Cancel = ({ onCancel }) =>
  html`<button type="button" class="cancel" onClick=${onCancel}>Cancel</button>`;

function Samples({ app, chosen, onSample }) {
  const names = Object.keys(app.samples);
  if (names.length < 2) return null;
  return html`
    <label class="field">
      <span class="field-title">Sample</span>
      <select value=${chosen} onChange=${(event) => onSample(event.target.value)}>
        ${names.map((name) => html`<option key=${name} value=${name}>${title(name)}</option>`)}
        <option value="" hidden>Your own</option>
      </select>
    </label>
  `;
}

function Field({ field, value, error, onInput }) {
  const id = `field-${field.name}`;
  const shared = {
    id,
    name: field.name,
    value,
    "aria-invalid": error ? "true" : undefined,
    "aria-describedby": error ? `${id}-error` : undefined,
    onInput: (event) => onInput(event.target.value),
  };
  return html`
    <div class="field">
      <label class="field-title" for=${id} title=${field.hint}>
        ${field.title}${!field.isRequired && html` <span class="quiet">(optional)</span>`}
      </label>
      <${Control} field=${field} shared=${shared} allowed=${error?.allowed} />
      ${error && html`<p class="field-error" id="${id}-error">${error.message}</p>`}
    </div>
  `;
}

function Control({ field, shared, allowed }) {
  if (field.type === "boolean") {
    const onInput = (event) => shared.onInput({ target: { value: event.target.checked } });
    const box = { ...shared, type: "checkbox", checked: shared.value === true, value: "true" };
    return html`<input ...${box} onInput=${onInput} />`;
  }
  if (field.options) {
    const isForeign = !field.options.includes(shared.value);
    return html`
      <select ...${shared}>
        ${isForeign && html`<option value=${shared.value}>${shared.value || "Choose…"}</option>`}
        ${field.options.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}
      </select>
    `;
  }
  if (field.isLong) return html`<textarea ...${shared} rows="5"></textarea>`;
  const type = field.type === "integer" || field.type === "number" ? "number" : "text";
  const step = field.type === "number" ? "any" : undefined;
  const list = allowed?.length ? `${shared.id}-allowed` : undefined;
  return html`
    <input ...${shared} type=${type} step=${step} list=${list} />
    ${list && html`<${Allowed} id=${list} values=${allowed} />`}
  `;
}

/** What the server said would do, offered while typing. */
const Allowed = ({ id, values }) => html`
  <datalist id=${id}>${values.map((one) => html`<option key=${one} value=${one} />`)}</datalist>
`;

/** A few choices side by side, one of them taken: radio buttons that look like one control. */
export function Choice({ name, legend, value, options, onChange }) {
  return html`
    <fieldset class="choice">
      <legend>${legend}</legend>
      <div class="choice-options">
        ${options.map(
          ([option, label]) => html`
            <label key=${option}>
              <input
                type="radio"
                name=${name}
                checked=${option === value}
                onChange=${() => onChange(option)}
              />
              <span>${label}</span>
            </label>
          `,
        )}
      </div>
    </fieldset>
  `;
}
