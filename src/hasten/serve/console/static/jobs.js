/** Jobs: what waits, runs and is over; cancel one, retry a dead one, see its run. */

import { html, useEffect, useState } from "./dom.js";
import { cancelJob, listCrons, listJobs, retryJob } from "./api.js";
import { useAnswer } from "./asking.js";
import { moment, number, seconds } from "./format.js";
import { Table } from "./table.js";

const STATES = ["queued", "running", "done", "cancelled", "dead"];
const LOOK_MS = 2000;

const isOpen = (job) => job.status === "queued" || job.status === "running";
const isAgain = (job) => job.status === "dead" || job.status === "cancelled";

/** `onOpen` shows a job's run; `onError` hears what the server refuses. */
export function JobsPage({ onOpen, onError }) {
  const [status, setStatus] = useState("");
  const [{ jobs }, load, times] = useAnswer(() => listJobs(status ? { status } : {}), {
    first: { jobs: [] },
    question: status,
    onError,
  });
  const [{ cron: crons }] = useAnswer(listCrons, { first: { cron: [] }, onError });
  useEffect(() => {
    if (!jobs.some(isOpen)) return undefined;
    const timer = setTimeout(load, LOOK_MS);
    return () => clearTimeout(timer);
  }, [jobs, times]);
  const act = (what) => (job) => what(job.job_id).then(load, onError);
  return html`
    <div class="cache">
      <section class="panel" aria-labelledby="jobs-title">
        <header class="cache-head">
          <h2 id="jobs-title">Jobs <span class="quiet">${number(jobs.length)}</span></h2>
          <select
            aria-label="State"
            value=${status}
            onChange=${(event) => setStatus(event.target.value)}
          >
            <option value="">every state</option>
            ${STATES.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}
          </select>
          <button type="button" onClick=${load}>Refresh</button>
        </header>
        <${Jobs}
          jobs=${jobs}
          onOpen=${onOpen}
          onCancel=${act(cancelJob)}
          onRetry=${act(retryJob)}
        />
        <${Crons} crons=${crons} />
      </section>
    </div>
  `;
}

function Crons({ crons }) {
  if (!crons.length) return null;
  return html`
    <h3>At set times</h3>
    <ul class="quiet">
      ${crons.map(
        (cron) => html`<li key=${cron.name}>
          <code>${cron.name}</code> next ${moment(cron.due_s)} (<code>${cron.at}</code>, UTC)
        </li>`,
      )}
    </ul>
  `;
}

function Jobs({ jobs, ...acts }) {
  if (!jobs.length) return html`<p class="quiet">No jobs. POST /api/jobs makes one.</p>`;
  const heads = ["Job", "State", "Application", "Waited", "Tries", "Created", "Run", "Error", ""];
  return html`<${Table} heads=${heads}>
    ${jobs.map((job) => html`<${Line} key=${job.job_id} job=${job} ...${acts} />`)}
  <//>`;
}

function Line({ job, onOpen, onCancel, onRetry }) {
  const open = () => onOpen([{ mode: job.mode, run_id: job.run_id }]);
  return html`
    <tr>
      <th scope="row">${job.job_id}</th>
      <td><span class="status ${job.status}">${job.status}</span></td>
      <td>${job.app}</td>
      <td>${job.waited_s === null ? "–" : seconds(job.waited_s)}</td>
      <td>${number(job.attempt)}</td>
      <td>${moment(job.created_s)}</td>
      <td><button type="button" class="plain" onClick=${open}>Waterfall</button></td>
      <td>${job.error?.message ?? ""}</td>
      <td>
        ${isOpen(job) && html`<button type="button" onClick=${() => onCancel(job)}>Cancel</button>`}
        ${isAgain(job) && html`<button type="button" onClick=${() => onRetry(job)}>Retry</button>`}
      </td>
    </tr>
  `;
}
