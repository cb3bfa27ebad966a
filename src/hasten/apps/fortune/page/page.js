/**
 * The temple's page: choose a deity, draw a stick, ask; read the interpretation as it is written.
 *
 * Owns what is shown and the drawing of sticks. Leaves connections to the console's client.
 */

import { client, getJson, postJson, readAll } from "/console/api.js";
import { html, useEffect, useRef, useState } from "/console/dom.js";

const HOME = "/apps/fortune";
const STICKS = 20;
const SHAKE_MS = 60;
const SHAKES = 14;
const ORDER = [
  ["What the poem says", "籤詩意涵"],
  ["Love and family", "感情"],
  ["Work and money", "事業"],
  ["Body and mind", "身心"],
  ["Advice", "指引"],
];
const LUCK = { best: "上上", good: "上吉", fair: "中平", wary: "小心" };

export default function Temple({ app, onError }) {
  const [deities, setDeities] = useState([]);
  const [chosen, setChosen] = useState("yue_lao");
  const [number, setNumber] = useState(0);
  const [isShaking, setShaking] = useState(false);
  const [question, setQuestion] = useState("");
  const [past, setPast] = useState([]);
  const [poem, setPoem] = useState(null);
  const { answer, ask, open } = useAnswer(onError);

  const readPast = () => getJson(`${HOME}/history`).then(setPast, onError);
  useEffect(() => {
    getJson(`${HOME}/deities`).then(setDeities, onError);
    readPast();
  }, []);
  useEffect(() => {
    if (answer.isOver) readPast();
  }, [answer.isOver]);
  useEffect(() => {
    setPoem(null);
    if (number && !isShaking)
      getJson(`${HOME}/deities/${chosen}/poems/${number}`).then(setPoem, onError);
  }, [chosen, number, isShaking]);

  const draw = () => {
    setShaking(true);
    let left = SHAKES;
    const timer = setInterval(() => {
      setNumber(1 + Math.floor(Math.random() * STICKS));
      if (--left === 0) {
        clearInterval(timer);
        setShaking(false);
      }
    }, SHAKE_MS);
  };
  const submit = (event) => {
    event.preventDefault();
    ask({ deity_id: chosen, fortune_number: number, question });
  };
  const reopen = (task) => {
    setChosen(task.deity_id);
    setNumber(task.fortune_number);
    setQuestion(task.question);
    open(task.task_id);
  };

  return html`<div class="temple">
    <form onSubmit=${submit}>
      <fieldset class="deities">
        <legend>Whom do you ask?</legend>
        ${deities.map(
          (deity) => html`<label class=${deity.id === chosen ? "chosen" : ""}>
            <input type="radio" name="deity" value=${deity.id} checked=${deity.id === chosen}
              onChange=${() => setChosen(deity.id)} />
            <b>${deity.name[0]}</b> ${deity.name[1]}
            <small>${deity.about[1]}</small>
          </label>`,
        )}
      </fieldset>
      <div class="lot">
        <button type="button" class="plain" onClick=${draw} disabled=${isShaking}>
          ${number ? "Draw again" : "Draw a stick"}
        </button>
        <label>
          or take number
          <input type="number" min="1" max=${STICKS} required value=${number || ""}
            onInput=${(event) => setNumber(Number(event.target.value))} />
        </label>
        <output class=${isShaking ? "stick shaking" : "stick"}>${number || "–"}</output>
      </div>
      <label class="question">
        Your question
        <textarea required maxlength="500" rows="3" value=${question}
          onInput=${(event) => setQuestion(event.target.value)}></textarea>
      </label>
      <button class="ask" disabled=${!number || isShaking || answer.isRunning}>
        ${answer.isRunning ? "The temple answers …" : "Ask"}
      </button>
      <${Past} tasks=${past} deities=${deities} onOpen=${reopen} />
    </form>
    <article aria-live="polite">
      ${poem && html`<${Verse} poem=${poem} />`} <${Answer} answer=${answer} />
      ${!poem && !answer.taskId && html`<p class="hint">${app.about}</p>`}
    </article>
  </div>`;
}

function Verse({ poem }) {
  return html`<header class="verse">
    <p class="luck">${LUCK[poem.luck]} · ${poem.luck}</p>
    <h2>${poem.title[0]} <span>${poem.title[1]}</span></h2>
    <p class="zh" lang="zh-Hant">${poem.zh.map((line) => html`<span>${line}</span>`)}</p>
    <p class="en">${poem.en.map((line) => html`<span>${line}</span>`)}</p>
  </header>`;
}

function Answer({ answer }) {
  return html`${answer.sections.map(
      ([title, text]) => html`<section>
        <h3>${title}</h3>
        ${paragraphs(text, title).map((one) => html`<p>${one}</p>`)}
      </section>`,
    )}
    ${answer.isOver &&
    html`<footer>
      ${answer.isCached ? "Answered from what was asked before" : "Written for you"} in
      ${" "}${(answer.tookMs / 1000).toFixed(answer.tookMs < 1000 ? 3 : 1)} s
      · <a href=${`/#runs=${answer.taskId}`}>how it was made</a>
    </footer>`}`;
}

function Past({ tasks, deities, onOpen }) {
  if (!tasks.length) return null;
  const nameOf = (id) => deities.find((deity) => deity.id === id)?.name[0] ?? id;
  return html`<nav class="past">
    <h3>Asked before</h3>
    <ul>
      ${tasks.map(
        (task) => html`<li>
          <button type="button" onClick=${() => onOpen(task)}>
            <b>${nameOf(task.deity_id)} ${task.fortune_number}</b> ${task.question}
          </button>
        </li>`,
      )}
    </ul>
  </nav>`;
}

const NOTHING = { taskId: "", sections: [], isRunning: false, isOver: false, isCached: false };

/** The answer shown, and how to ask for one or open an old one. */
function useAnswer(onError) {
  const [answer, setAnswer] = useState(NOTHING);
  const stop = useRef(new AbortController());
  useEffect(() => () => stop.current.abort(), []);

  const begin = async (taskOf) => {
    stop.current.abort();
    const { signal } = (stop.current = new AbortController());
    const beganMs = performance.now();
    setAnswer({ ...NOTHING, isRunning: true });
    try {
      const taskId = await taskOf();
      setAnswer((before) => ({ ...before, taskId }));
      await readAll(client.follow(taskId, { signal }), (message) =>
        setAnswer((before) => taken(before, message)),
      );
      const tookMs = performance.now() - beganMs;
      if (!signal.aborted)
        setAnswer((before) => ({ ...before, isRunning: false, isOver: true, tookMs }));
    } catch (error) {
      if (signal.aborted) return;
      setAnswer(NOTHING);
      onError(error);
    }
  };
  return {
    answer,
    ask: (body) =>
      begin(async () => (await postJson(`${HOME}/api/v1/async-chat/ask-question`, body)).task_id),
    open: (taskId) => begin(async () => taskId),
  };
}

/** Takes one message of the stream into the answer. */
function taken(answer, { event, data }) {
  if (event === "text" || event === "text.replaced") {
    const sections = new Map(answer.sections);
    const before = event === "text" ? (sections.get(data.section) ?? "") : "";
    sections.set(data.section, before + data.text);
    return { ...answer, sections: [...sections].sort(byPlace) };
  }
  const whole = data.data?.report;
  if (whole) return { ...answer, sections: sectionsOf(whole) };
  if (data.complete) return { ...answer, isCached: Boolean(data.reuse?.cached) };
  return answer;
}

/** Sections are written side by side; they are read in the order of the report. */
const placeOf = ([title]) => ORDER.findIndex((titles) => titles.includes(title));
const byPlace = (one, other) => placeOf(one) - placeOf(other);

/** The sections of the whole report, which begins with the poem itself. */
const sectionsOf = (report) =>
  report
    .split(/^## /m)
    .slice(1)
    .map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1)]);

/** The paragraphs of a section: its own title and Markdown's marks are left out. */
const paragraphs = (text, title) =>
  text
    .split(/\n{2,}|\n(?=- )/)
    .map((one) => one.replace(/^#+ .*$/m, "").replace(/\*\*|^- |_/gm, "").trim())
    .filter((one) => one && one !== title);
