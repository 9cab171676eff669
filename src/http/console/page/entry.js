// One entry of the knowledge base: read, changed, added, removed, and what it said before.

import { useState } from "./vendor/hooks.js";
import { ask, get, post } from "./api.js";
import { useAnswer } from "./pages.js";
import { At, Confirm, Failed, html } from "./ui.js";

/** The texts of a list, one a line or between commas. @param {string} text @param {string} by */
const parts = (text, by) => text.split(by).map((part) => part.trim()).filter(Boolean);

/** An entry as a form has it. Pure. @param {any} entry */
export function toFields(entry) {
  return {
    id: entry.id,
    language: entry.language,
    question: entry.question ?? "",
    answer: entry.answer ?? "",
    phrasings: (entry.phrasings ?? []).join("\n"),
    tags: (entry.tags ?? []).join(", "),
    accounts: (entry.accounts ?? []).join(", "),
    valid_from: entry.valid_from ?? "",
    valid_until: entry.valid_until ?? "",
  };
}

/** An entry as the server takes it. Pure. @param {ReturnType<typeof toFields>} fields */
export function toEntry(fields) {
  const { id, language, question, answer, phrasings, tags, accounts, valid_from, valid_until } = fields;
  return {
    id: id.trim(),
    language: language.trim(),
    question,
    answer,
    phrasings: parts(phrasings, "\n"),
    tags: parts(tags, ","),
    accounts: parts(accounts, ","),
    ...(valid_from.trim() && { valid_from: valid_from.trim() }),
    ...(valid_until.trim() && { valid_until: valid_until.trim() }),
  };
}

/**
 * @param {{ id: string | null, language: string | null, question: string, may: boolean, close: () => void, changed: () => void }} props
 */
export function Entry({ id, language, question, may, close, changed }) {
  const path = `/v1/knowledge/entry?id=${encodeURIComponent(id ?? "")}${language ? `&language=${language}` : ""}`;
  const { found, error } = useAnswer(id ? path : null, () => get(path));
  if (!id) return html`<${Edit} key="new" entry=${{ id: "", language: language ?? "en", question, answer: "" }} ...${{ may, close, changed }} />`;
  if (error) return html`<${Confirm} key="none" title=${id} explain=${html`<${Failed} error=${error} />`} confirm=${null} needsReason=${false} act=${async () => {}} close=${close} />`;
  return found && html`<${Edit} key="there" entry=${found.entries[0]} ...${{ may, close, changed }} />`;
}

/** @param {{ entry: any, may: boolean, close: () => void, changed: () => void }} props */
function Edit({ entry, may, close, changed }) {
  const isNew = entry.id === "";
  const [fields, setFields] = useState(() => toFields(entry));
  const [isRemoving, setRemoving] = useState(false);
  const set = (/** @type {string} */ name) => (/** @type {any} */ event) => setFields((now) => ({ ...now, [name]: event.target.value }));
  const save = async () => {
    // What is new must not overwrite what somebody else has called the same.
    await ask("PUT", "/v1/knowledge/entry", toEntry(fields), isNew ? { "if-none-match": "*" } : {});
    changed();
  };
  const remove = async () => {
    await ask("DELETE", `/v1/knowledge?id=${encodeURIComponent(entry.id)}&language=${entry.language}`);
    changed();
  };
  if (isRemoving) {
    return html`<${Confirm} key="remove" title=${`Remove ${entry.id} (${entry.language})?`} explain="It answers nobody any more. Its versions are kept, and it can be restored for a while."
      confirm="Remove" isDangerous needsReason=${false} act=${remove} close=${close} />`;
  }
  const field = (/** @type {string} */ name) => ({ value: /** @type {Record<string, string>} */ (fields)[name], readonly: !may || (!isNew && (name === "id" || name === "language")), onInput: set(name) });
  return html`<${Confirm} key="edit" title=${isNew ? "New entry" : `${entry.id} (${entry.language})`} confirm=${may ? "Save" : null} needsReason=${false} act=${save} close=${close}
      explain=${may ? "The best question's answer is given, never the question." : "Your role sees, and does not change."}>
    <div class="edit">
      <label>Id <input required ...${field("id")} /></label>
      <label>Language <input required size="4" maxlength="3" ...${field("language")} /></label>
      <label>Question <textarea rows="2" dir="auto" ...${field("question")}></textarea></label>
      <label>Other ways to ask, one a line <textarea rows="3" dir="auto" ...${field("phrasings")}></textarea></label>
      <label>Answer <textarea rows="4" dir="auto" required ...${field("answer")}></textarea></label>
      <label>Tags, separated by commas <input ...${field("tags")} /></label>
      <label>Only for these accounts, separated by commas <input ...${field("accounts")} /></label>
      <label>Holds from (a day, or a time with its zone) <input ...${field("valid_from")} /></label>
      <label>Holds until <input ...${field("valid_until")} /></label>
      ${!isNew && html`<${Versions} entry=${entry} ...${{ may, close, changed }} />`}
      ${may && !isNew && html`<p><button type="button" onClick=${() => setRemoving(true)}>Remove it…</button></p>`}
    </div>
  <//>`;
}

/** What it said before. @param {{ entry: any, may: boolean, close: () => void, changed: () => void }} props */
function Versions({ entry, may, close, changed }) {
  const [isOpen, setOpen] = useState(false);
  const [failure, setFailure] = useState(/** @type {unknown} */ (null));
  const path = `/v1/knowledge/history?id=${encodeURIComponent(entry.id)}&language=${entry.language}`;
  const { found, error } = useAnswer(isOpen ? path : null, () => get(path));
  /** @param {number} version */
  const restore = (version) => post("/v1/knowledge/restore", { version }).then(() => { changed(); close(); }, setFailure);
  return html`<details onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}><summary>What it said before</summary>
    <${Failed} error=${error ?? failure} />
    <ol class="versions">${(found?.versions ?? []).map((/** @type {any} */ one) => html`<li key=${one.version}>
      <p><small>until <${At} at=${one.replaced_at ?? one.removed_at} /></small></p><p dir="auto"><b>${one.entry?.question ?? one.question}</b><br />${one.entry?.answer ?? one.answer}</p>
      ${may && html`<button type="button" onClick=${() => restore(one.version)}>Say this again</button>`}</li>`)}</ol>
    ${found && found.versions.length === 0 && html`<p class="note">Nothing else.</p>`}
  </details>`;
}
