/**
 * The coach's page: a conversation at the left, the board with its scores at the right.
 *
 * Owns what is shown and the chat's WebSocket. Leaves everything else to the console's client.
 */

import { client, getJson, openSocket } from "/console/api.js";
import { html, useEffect, useRef, useState } from "/console/dom.js";

const HOME = "/apps/okr";
const PHASES = [
  ["discovery", "Discovery"],
  ["refinement", "Refinement"],
  ["key_results", "Key results"],
  ["validation", "Validation"],
];
const IDEAS = [
  "We lose too many customers in their first month. Where do we start?",
  "Objective: New customers find value in their first week by the end of Q3",
  "KR: Raise customers active after a week from 42 % to 60 % by 30 September",
];
const EMPTY = { messages: [], okrs: [], score: 0, phase: "discovery", suggestions: [], proposals: [] };

export default function Coach({ onError }) {
  const [sessions, setSessions] = useState([]);
  const readSessions = () => getJson(`${HOME}/sessions`).then(setSessions, onError);
  const talk = useTalk(onError, readSessions);
  useEffect(() => {
    getJson(`${HOME}/sessions`).then((found) => {
      setSessions(found);
      if (found.length) talk.open(found[0].session_id);
    }, onError);
  }, []);

  return html`<div class="coach">
    <section class="talk" aria-label="Conversation">
      <header>
        <select aria-label="Conversation" value=${talk.sessionId}
          onChange=${(event) => talk.open(event.target.value)}>
          ${!sessions.some((one) => one.session_id === talk.sessionId) &&
          html`<option value=${talk.sessionId}>New conversation</option>`}
          ${sessions.map(
            (one) => html`<option value=${one.session_id}>${one.title || "New conversation"}</option>`,
          )}
        </select>
        <button type="button" onClick=${talk.begin} disabled=${talk.isWriting}>New</button>
      </header>
      <${Phases} now=${talk.state.phase} />
      <${Messages} talk=${talk} />
      <${Ask} talk=${talk} />
    </section>
    <${Board} talk=${talk} />
  </div>`;
}

function Phases({ now }) {
  const place = PHASES.findIndex(([id]) => id === now);
  return html`<ol class="phases">
    ${PHASES.map(
      ([id, title], index) => html`<li class=${index < place ? "done" : ""}
        aria-current=${id === now ? "step" : undefined}>${title}</li>`,
    )}
  </ol>`;
}

function Messages({ talk }) {
  const end = useRef(null);
  const { messages } = talk.state;
  useEffect(() => end.current?.scrollIntoView({ block: "nearest" }), [messages, talk.partial]);
  return html`<div class="messages" aria-live="polite">
    ${!messages.length &&
    !talk.isWriting &&
    html`<p class="hint">Say what your team wants, in your own words. A line that begins with
      ${" "}<b>Objective:</b> or <b>KR:</b> goes on the board as it is.</p>`}
    ${messages.map((one) => html`<${Said} ...${one} />`)}
    ${talk.isWriting && html`<${Said} said_by="coach" text=${talk.partial || "…"} />`}
    ${talk.took && html`<p class="took">${talk.took}</p>`}
    <span ref=${end}></span>
  </div>`;
}

const Said = ({ said_by: by, text }) =>
  html`<div class=${`bubble by-${by}`}>
    ${text
      .split(/\n{2,}|\n(?=- )/)
      .map((one) => html`<p>${one.replace(/\*\*|^#+ |^- /gm, "")}</p>`)}
  </div>`;

function Ask({ talk }) {
  const [text, setText] = useState("");
  const submit = (event) => {
    event.preventDefault();
    if (!text.trim()) return;
    talk.say(text.trim());
    setText("");
  };
  const onKeyDown = (event) => {
    if (event.key === "Enter" && !event.shiftKey) submit(event);
  };
  const ideas = talk.state.proposals.length
    ? talk.state.proposals
    : IDEAS.slice(Math.min(talk.state.okrs.length + (talk.state.messages.length ? 1 : 0), 3));
  return html`<form class="ask" onSubmit=${submit}>
    ${ideas.slice(0, 2).map(
      (idea) => html`<button type="button" class="idea" disabled=${talk.isWriting}
        onClick=${() => talk.say(idea)}>${idea}</button>`,
    )}
    <div>
      <textarea rows="2" maxlength="2000" aria-label="Message" placeholder="Your message"
        value=${text} onInput=${(event) => setText(event.target.value)} onKeyDown=${onKeyDown} />
      <button disabled=${talk.isWriting || !text.trim()}>Send</button>
    </div>
  </form>`;
}

function Board({ talk }) {
  const { okrs, score, suggestions } = talk.state;
  const objectives = okrs.filter((one) => !one.objective_id);
  return html`<section class="okrs" aria-label="Board">
    <header>
      <h2>Objectives and key results</h2>
      ${okrs.length > 0 && html`<${Score} score=${score} isLarge=${true} />`}
    </header>
    ${!okrs.length && html`<p class="hint">Nothing yet. The coach puts here what you decide on.</p>`}
    ${objectives.map(
      (objective) => html`<article>
        <${Item} item=${objective} talk=${talk} />
        ${okrs
          .filter((one) => one.objective_id === objective.item_id)
          .map((one) => html`<${Item} item=${one} talk=${talk} />`)}
      </article>`,
    )}
    ${suggestions.length > 0 &&
    html`<aside>
      <h3>Worth knowing</h3>
      ${suggestions.map(
        (one) => html`<details><summary>${one.title}</summary><p>${one.text}</p></details>`,
      )}
    </aside>`}
  </section>`;
}

function Item({ item, talk }) {
  const [draft, setDraft] = useState(null);
  const weak = item.criteria.filter((one) => one.score < 100);
  const save = (event) => {
    event.preventDefault();
    talk.change(item.item_id, draft).then(() => setDraft(null));
  };
  if (draft !== null)
    return html`<form class="item" onSubmit=${save}>
      <input aria-label="Wording" maxlength="300" value=${draft}
        onInput=${(event) => setDraft(event.target.value)} />
      <button disabled=${!draft.trim()}>Save</button>
    </form>`;
  return html`<div class=${item.objective_id ? "item result" : "item objective"}>
    <${Score} score=${item.score} />
    <div class="wording">
      <span>${item.text}</span>
      <ul class="criteria">
        ${item.criteria.map(
          (one) => html`<li class=${levelOf(one.score)} title=${one.reason}>${one.name}</li>`,
        )}
      </ul>
      ${weak.length > 0 && html`<p class="reason">${weak[0].reason}.</p>`}
    </div>
    <div class="tools">
      <button type="button" onClick=${() => setDraft(item.text)}>Edit</button>
      <button type="button" aria-label=${`Remove ${item.text}`}
        onClick=${() => talk.remove(item.item_id)}>✕</button>
    </div>
  </div>`;
}

const levelOf = (score) => (score >= 80 ? "good" : score >= 50 ? "fair" : "poor");

const Score = ({ score, isLarge = false }) =>
  html`<span class=${`score ${levelOf(score)} ${isLarge ? "large" : ""}`}
    title="0 to 100: the mean of five criteria">${score}</span>`;

/** A conversation: its state, and what can be done with it. */
function useTalk(onError, onSaid) {
  const [sessionId, setSessionId] = useState(newId);
  const [state, setState] = useState(EMPTY);
  const [partial, setPartial] = useState("");
  const [isWriting, setWriting] = useState(false);
  const [took, setTook] = useState("");
  const socket = useRef(null);
  useEffect(() => () => socket.current?.close(), []);

  const open = (id) => {
    setSessionId(id);
    setTook("");
    return getJson(`${HOME}/sessions/${id}`).then(
      (found) => setState({ ...EMPTY, ...found }),
      onError,
    );
  };
  const begin = () => {
    setSessionId(newId());
    setState(EMPTY);
    setTook("");
  };
  const say = async (message) => {
    const beganMs = performance.now();
    let firstMs = 0;
    const end = () => {
      setWriting(false);
      setPartial("");
    };
    setWriting(true);
    setTook("");
    setState((before) => ({
      ...before,
      proposals: [],
      messages: [...before.messages, { said_by: "team", text: message }],
    }));
    try {
      if (socket.current?.readyState !== WebSocket.OPEN) socket.current = await opened();
      socket.current.onclose = () => {
        end();
        open(sessionId); // the answer goes on without us and is kept
      };
      socket.current.onmessage = ({ data: frame }) => {
        const { event, data } = JSON.parse(frame);
        if (event === "messageChunk") {
          firstMs ||= performance.now() - beganMs;
          setPartial((before) => before + data.chunk);
        } else if (event === "messageReplaced") {
          setPartial(data.text);
        } else if (event === "messageError") {
          end();
          onError(new Error(data.message));
        } else {
          end();
          setTook(tookOf(data.cached, firstMs, performance.now() - beganMs));
          setState((before) => ({
            ...before,
            ...data,
            messages: [...before.messages, { said_by: "coach", text: data.reply }],
          }));
          onSaid();
        }
      };
      socket.current.send(
        JSON.stringify({ event: "sendMessage", data: { sessionId, message } }),
      );
    } catch (error) {
      end();
      onError(error);
    }
  };
  const edit = (itemId, options) =>
    client.json(`${HOME}/sessions/${sessionId}/okrs/${itemId}`, options).then(
      (found) => setState((before) => ({ ...before, ...found })),
      onError,
    );
  return {
    sessionId,
    state,
    partial,
    isWriting,
    took,
    open,
    begin,
    say,
    change: (itemId, text) => edit(itemId, { method: "PATCH", body: { text } }),
    remove: (itemId) => edit(itemId, { method: "DELETE" }),
  };
}

const newId = () => `p${crypto.getRandomValues(new Uint32Array(2)).join("")}`;

const seconds = (ms) => `${(ms / 1000).toFixed(ms < 1000 ? 2 : 1)} s`;

const tookOf = (isCached, firstMs, allMs) =>
  isCached
    ? `Answered from what was asked before, in ${seconds(allMs)}`
    : `First words after ${seconds(firstMs)}, all in ${seconds(allMs)}`;

async function opened() {
  const socket = await openSocket(`${HOME}/chat`);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("The coach cannot be reached"));
  });
  return socket;
}
