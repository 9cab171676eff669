// How turns came to their answers: a list that is filtered, and one of them as a waterfall.

import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { get } from "./api.js";
import { count, duration, words } from "./format.js";
import { change, to } from "./route.js";
import { useAnswer } from "./pages.js";
import { Detail } from "./place.js";
import { At, Failed, Icon, Link, More, Panel, Wide, html } from "./ui.js";

const SIZE = 50;

/** What can be ticked, by its name in the address. */
const TICKS = [
  ["failed", "failed"],
  ["ambiguous", "ambiguous"],
  ["degraded", "degraded"],
  ["needs_human", "needs a person"],
];

/** What is asked for, as the server takes it. Pure. @param {URLSearchParams} query */
export function filterOf(query) {
  const filter = new URLSearchParams();
  for (const [name] of TICKS) if (query.get(name) === "1") filter.set(name, "true");
  for (const name of ["slow_ms", "class", "language", "text"]) {
    const value = query.get(name);
    if (value) filter.set(name, value);
  }
  return filter;
}

/** What stands out about a turn, each with its shape. Pure. @param {any} one @returns {[string, string][]} */
export function marks(one) {
  /** @type {[string, string][]} */
  const found = [];
  if (one.failures > 0 || one.state === "split" || one.outcome?.startsWith("dead_lettered")) found.push(["critical", "failed"]);
  for (const state of ["failed", "ambiguous"]) if (one.parts.includes(state)) found.push(["critical", `part ${state}`]);
  if (one.degraded) found.push(["warning", "degraded"]);
  if (one.interruptions > 0) found.push(["warning", "interrupted"]);
  if (one.needs_human) found.push(["notice", "needs a person"]);
  return found;
}

/** How long it took from its start to its answer. @param {any} one */
export const tookOf = (one) => (one.ended_at ? Date.parse(one.ended_at) - Date.parse(one.started_at) : null);

/** What is asked for, in a form. @param {{ route: any, may: boolean }} props */
function Filters({ route, may }) {
  const { query } = route;
  const names = [...TICKS.map(([name]) => name), "slow_ms", "class", "language", "text"];
  const [fields, setFields] = useState(() => Object.fromEntries(names.map((name) => [name, query.get(name) ?? ""])));
  useEffect(() => setFields(Object.fromEntries(names.map((name) => [name, query.get(name) ?? ""]))), [query.toString()]);
  /** @param {string} name @param {string} value */
  const set = (name, value) => setFields((now) => ({ ...now, [name]: value }));
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    change(route, Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, value.trim() || undefined])));
  };
  const typed = (/** @type {string} */ name) => ({ name, value: fields[name], onInput: (/** @type {any} */ event) => set(name, event.target.value) });
  return html`<form class="filters" onSubmit=${submit}>
    <fieldset><legend>Only those that are</legend>
      ${TICKS.map(([name, label]) => html`<label key=${name} class="tick"><input type="checkbox" name=${name} checked=${fields[name] === "1"}
        onChange=${(/** @type {any} */ event) => set(name, event.target.checked ? "1" : "")} /> ${label}</label>`)}
    </fieldset>
    <label>Slower than, ms <input type="number" min="0" ...${typed("slow_ms")} /></label>
    <label>Class <input ...${typed("class")} /></label>
    <label>Language <input size="4" ...${typed("language")} /></label>
    ${may && html`<label>Text <input type="search" ...${typed("text")} /></label>`}
    <button type="submit" class="primary">Filter</button>
  </form>`;
}

/** @param {{ route: any, may: boolean }} props */
export function Journeys({ route, may }) {
  const filter = filterOf(route.query).toString();
  const [state, setState] = useState({ items: /** @type {any[]} */ ([]), next: /** @type {number | null} */ (null), error: /** @type {unknown} */ (null), isBusy: true });
  const latest = useRef(0);
  /** @param {any[]} before @param {number | null} from */
  const load = async (before, from) => {
    latest.current += 1;
    const mine = latest.current;
    setState((now) => ({ ...now, isBusy: true, error: null }));
    /** @type {any} */
    let change;
    try {
      const page = await get(`/v1/journeys?${filter}&limit=${SIZE}${from ? `&before=${from}` : ""}`);
      change = { items: [...before, ...page.journeys], next: page.next };
    } catch (error) {
      change = { error };
    }
    // What was asked for before counts no more.
    if (mine === latest.current) setState((now) => ({ ...now, ...change, isBusy: false }));
  };
  useEffect(() => {
    load([], null);
    return () => {
      latest.current += 1;
    };
  }, [filter]);
  const { items, next, error, isBusy } = state;
  const none = `No turn is like that${next ? " among those that were looked at" : ""}.`;
  return html`
    <h1>Journeys</h1>
    <${Filters} route=${route} may=${may} />
    <${Failed} error=${error} />
    <p class="note" role="status">${isBusy ? "Looking…" : items.length === 0 ? (error ? "" : none) : `${items.length} turns, the newest first`}</p>
    ${items.length > 0 && html`<${Wide} name="Journeys"><table>
      <thead><tr><th scope="col">Began</th><th scope="col">Turn</th><th scope="col">Outcome</th><th scope="col">Class</th><th scope="col">Language</th>
        <th scope="col" class="number">Took</th><th scope="col">Reply</th><th scope="col">What stands out</th></tr></thead>
      <tbody>${items.map((one) => html`<tr key=${one.position}>
        <td><${At} at=${one.started_at} /></td>
        <td><${Link} to=${to("journeys", String(one.position))}>${count(one.position)}<//></td>
        <td>${one.outcome ?? one.state}</td><td>${words(one.class ?? "–")}</td><td>${one.language ?? "–"}</td>
        <td class="number">${duration(tookOf(one))}</td><td>${one.parts.join(", ") || "–"}</td>
        <td><${Marks} of=${one} /></td>
      </tr>`)}</tbody></table><//>`}
    <${More} act=${next ? () => load(items, next) : null} isBusy=${isBusy}>Look further back<//>`;
}

/** What stands out about a turn. @param {{ of: any }} props */
function Marks({ of: one }) {
  return marks(one).map(([shape, text]) => html`<span class="mark-of" data-shape=${shape} key=${text}><${Icon} shape=${shape} />${text}</span>`);
}

/** What the search found. @param {{ hits: any[] }} props */
function Hits({ hits }) {
  return html`<ol class="hits">${hits.map((hit) => html`<li key=${`${hit.id} ${hit.language}`}>
    <${Link} to=${to("knowledge", "", { id: hit.id, language: hit.language })}>${hit.id}<//> <small>${hit.language}</small> <b>${hit.score.toFixed(3)}</b></li>`)}</ol>`;
}

/** What a step says. @param {{ step: any }} props */
function StepDetail({ step }) {
  const { detail } = step;
  if (step.name === "knowledge" && Array.isArray(detail)) return html`<${Hits} hits=${detail} />`;
  return typeof detail === "object" ? html`<${Detail} detail=${detail} />` : String(detail ?? "");
}

/** @param {{ position: string, may: boolean }} props */
export function Journey({ position }) {
  const [round, setRound] = useState(0);
  const { found, error, isBusy } = useAnswer(`${position} ${round}`, () => get(`/v1/journeys/${encodeURIComponent(position)}`));
  if (!found || String(found.turn.position) !== position) return html`<h1>Journey ${position}</h1><${Failed} error=${error} />`;
  const { turn, steps } = found;
  const end = Math.max(1, ...steps.map((/** @type {any} */ step) => step.start_ms + (step.duration_ms ?? 0)));
  return html`
    <h1>Journey ${position}</h1>
    <p><${Marks} of=${turn} /></p>
    <dl class="said">
      <div><dt>Conversation</dt><dd><${Link} to=${to("conversations", turn.conversation)}><code>${turn.conversation}</code><//></dd></div>
      <div><dt>Turn</dt><dd><code>${turn.turn}</code></dd></div>
      <div><dt>Outcome</dt><dd>${turn.outcome ?? turn.state}</dd></div>
      <div><dt>Class</dt><dd>${words(turn.class ?? "–")}</dd></div>
      <div><dt>Language</dt><dd>${turn.language ?? "–"}</dd></div>
      <div><dt>Attempts</dt><dd>${count(turn.attempt)}</dd></div>
      <div><dt>First message</dt><dd><${At} at=${turn.received_at} /></dd></div>
    </dl>
    <${Panel} title="From the webhook to the delivery status" id="waterfall" tools=${html`<${More} act=${() => setRound(round + 1)} isBusy=${isBusy}>Look again<//>`}>
      <${Wide} name="Steps"><table class="waterfall">
        <thead><tr><th scope="col">Step</th><th scope="col" class="number">Begins</th><th scope="col" class="number">Takes</th><th scope="col">Outcome</th><th scope="col" class="bars">When</th></tr></thead>
        <tbody>${steps.map((/** @type {any} */ step, /** @type {number} */ index) => html`<tr key=${index} data-step=${step.name}>
          <th scope="row">${step.name}<div class="step-detail"><${StepDetail} step=${step} /></div></th>
          <td class="number">${duration(step.start_ms)}</td><td class="number">${step.duration_ms === null ? "not known" : duration(step.duration_ms)}</td>
          <td data-outcome=${step.outcome}>${words(step.outcome)}</td>
          <td class="bars"><svg viewBox="0 0 1000 14" preserveAspectRatio="none" aria-hidden="true"><rect x=${(996 * step.start_ms) / end} y="2" height="10" rx="2"
            width=${Math.max(4, (996 * (step.duration_ms ?? 0)) / end)} /></svg></td>
        </tr>`)}</tbody></table><//>
    <//>`;
}
