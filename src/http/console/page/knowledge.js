// The knowledge base: entries, a question that is tried, and what nobody could answer.

import { useState } from "./vendor/hooks.js";
import { get, post } from "./api.js";
import { Entry } from "./entry.js";
import { count } from "./format.js";
import { useAnswer, usePages } from "./pages.js";
import { change, to } from "./route.js";
import { Empty, Failed, Link, More, Panel, Wide, html } from "./ui.js";

const SIZE = 50;

/** @param {{ route: any, may: boolean }} props */
export function Knowledge({ route, may }) {
  const { query } = route;
  const [round, setRound] = useState(0);
  const changed = () => setRound((now) => now + 1);
  /** Which entry is looked at stands in the address. @param {Record<string, string | undefined>} chosen */
  const choose = (chosen) => change(route, { id: undefined, language: undefined, new: undefined, question: undefined, ...chosen });
  return html`
    <h1>Knowledge</h1>
    <${Try} route=${route} />
    ${may && html`<${Unanswered} choose=${choose} />`}
    <${Entries} may=${may} choose=${choose} round=${round} changed=${changed} />
    ${(query.get("id") || query.get("new")) && html`<${Entry} key=${query.toString()} id=${query.get("id")} language=${query.get("language")}
      question=${query.get("question") ?? ""} may=${may} close=${() => choose({})} changed=${changed} />`}`;
}

/** A question, its hits and the decision they lead to. @param {{ route: any }} props */
function Try({ route }) {
  const q = route.query.get("q") ?? "";
  const { found, error, isBusy } = useAnswer(q || null, () => get(`/v1/knowledge/decide?q=${encodeURIComponent(q)}`));
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    change(route, { q: String(new FormData(/** @type {HTMLFormElement} */ (event.target)).get("q") ?? "").trim() });
  };
  const shown = q && found && !isBusy;
  return html`<${Panel} title="Try a question" id="try">
    <form class="search" onSubmit=${submit}><label for="q">A question, as somebody would put it</label>
      <div><input id="q" name="q" type="search" defaultValue=${q} dir="auto" /><button type="submit" class="primary">Try</button></div></form>
    <${Failed} error=${error} />
    <p role="status" class="tried">${isBusy ? "Looking…" : shown && html`It would lead to: <strong class="decision">${found.decision}</strong>. ${found.explain}`}</p>
    ${shown && found.degraded && html`<p class="note">${found.degraded}</p>`}
    ${shown && found.hits.length > 0 && html`<${Wide} name="Hits"><table>
      <thead><tr><th scope="col" class="number">Score</th><th scope="col">Entry</th><th scope="col">Question</th><th scope="col">Answer</th></tr></thead>
      <tbody>${found.hits.map((/** @type {any} */ { entry, score }) => html`<tr key=${`${entry.id} ${entry.language}`}><td class="number">${score.toFixed(3)}</td>
        <td><${Link} to=${to("knowledge", "", { id: entry.id, language: entry.language, q })}>${entry.id}<//> <small>${entry.language}</small></td>
        <td dir="auto">${entry.question || "(passage)"}</td><td dir="auto" class="break">${entry.answer}</td></tr>`)}</tbody></table><//>`}
  <//>`;
}

/** What people asked and no stored answer fitted, the most frequent first. @param {{ choose: (chosen: Record<string, string | undefined>) => void }} props */
function Unanswered({ choose }) {
  const [round, setRound] = useState(0);
  const { found, error, isBusy } = useAnswer(round ? String(round) : null, () => get("/v1/knowledge/unanswered?limit=50"));
  const questions = found?.questions ?? [];
  return html`<${Panel} title="Unanswered questions" id="unanswered">
    <p class="note">What people asked of late for which no stored answer fitted, the most frequent first. These are their words: looking is written down.</p>
    <p><${More} act=${() => setRound(round + 1)} isBusy=${isBusy}>${round ? "Look again" : "Look"}<//></p>
    <${Failed} error=${error} />
    <p role="status" class="note">${isBusy ? "Looking…" : found && (questions.length === 0 ? "There are none." : `${questions.length} questions`)}</p>
    ${questions.length > 0 && html`<${Wide} name="Unanswered questions"><table>
      <thead><tr><th scope="col" class="number">Times</th><th scope="col">Question</th><th scope="col">Nearest entry</th><th scope="col"><span class="unseen">Add</span></th></tr></thead>
      <tbody>${questions.map((/** @type {any} */ one) => html`<tr key=${one.text}><td class="number">${count(one.times)}</td><td dir="auto" class="break">${one.text}</td>
        <td>${one.nearest ? html`${one.nearest.id} <small>${one.nearest.score.toFixed(3)}</small>` : "–"}</td>
        <td><button type="button" onClick=${() => choose({ new: "1", question: one.text, language: one.language ?? "en" })}>Add as knowledge</button></td></tr>`)}</tbody></table><//>`}
  <//>`;
}

/** @param {{ may: boolean, choose: (chosen: Record<string, string | undefined>) => void, round: number, changed: () => void }} props */
function Entries({ may, choose, round, changed }) {
  const { found: status } = useAnswer(String(round), () => get("/v1/knowledge/status"));
  const { items, error, more, isBusy } = usePages(
    (last) => get(`/v1/knowledge?limit=${SIZE}${last ? `&after=${encodeURIComponent(last.id)}&after_language=${last.language}` : ""}`).then((page) => page.entries), SIZE, `entries ${round}`);
  const tools = may && html`<button type="button" onClick=${() => choose({ new: "1" })}>Add an entry</button>`;
  return html`<${Panel} title="Entries" id="entries" tools=${tools}>
    ${status && html`<p class="note">${count(status.entries)} entries${status.model ? `, ${count(status.embedded)} embedded` : ""}.</p>`}
    ${may && html`<${Import} changed=${changed} />`}
    <${Failed} error=${error} />
    ${items.length === 0 && !isBusy ? html`<${Empty}>There are none.<//>` : html`<${Wide} name="Entries"><table>
      <thead><tr><th scope="col">Id</th><th scope="col">Language</th><th scope="col">Question</th><th scope="col">Answer</th></tr></thead>
      <tbody>${items.map((entry) => html`<tr key=${`${entry.id} ${entry.language}`}><td><button type="button" class="link" onClick=${() => choose({ id: entry.id, language: entry.language })}>${entry.id}</button></td>
        <td>${entry.language}</td><td dir="auto">${entry.question || "(passage)"}</td><td dir="auto" class="clip">${entry.answer}</td></tr>`)}</tbody></table><//>`}
    <${More} act=${more} isBusy=${isBusy}>More<//>
  <//>`;
}

/** Entries of a file: the server reads it as `tertulia knowledge import` does. @param {{ changed: () => void }} props */
function Import({ changed }) {
  const [said, setSaid] = useState("");
  const [error, setError] = useState(/** @type {unknown} */ (null));
  /** @param {any} event */
  const choose = async (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (!file) return;
    setSaid("Importing…");
    setError(null);
    try {
      const name = encodeURIComponent(file.name);
      const answer = await post(`/v1/knowledge/import?name=${name}`, { text: await file.text() });
      setSaid(`${count(answer.imported)} entries imported.`);
      changed();
    } catch (failure) {
      setSaid("");
      setError(failure);
    }
  };
  return html`<p class="import"><label>Import a file (CSV or JSON lines) <input type="file" accept=".csv,.tsv,.jsonl,.ndjson" onChange=${choose} /></label> <span role="status">${said}</span></p><${Failed} error=${error} />`;
}
