// Conversations: found by id, phone number or BSUID, or listed as they are in the memory of a shard.

import { useEffect, useState } from "./vendor/hooks.js";
import { get } from "./api.js";
import { count, left, words } from "./format.js";
import { usePages } from "./pages.js";
import { change, to } from "./route.js";
import { At, Empty, Failed, Link, More, Wide, html } from "./ui.js";

const SIZE = 50;

/** @param {{ route: any }} props */
export function Conversations({ route }) {
  const q = route.query.get("q") ?? "";
  const shard = route.query.get("shard");
  const [typed, setTyped] = useState(q);
  useEffect(() => setTyped(q), [q]);
  /** @param {Event} event */
  const search = (event) => {
    event.preventDefault();
    change(route, { q: typed.trim(), shard: undefined, human: undefined });
  };
  const needsHuman = route.query.get("human") === "1";
  return html`
    <h1>Conversations</h1>
    <form class="search" role="search" onSubmit=${search}>
      <label for="find">Id, phone number, BSUID or handle, or how it begins</label>
      <div><input id="find" type="search" value=${typed} autocomplete="off" spellcheck=${false}
        onInput=${(/** @type {any} */ event) => setTyped(event.target.value)} /><button type="submit" class="primary">Search</button></div>
    </form>
    <p class="tabs"><${Link} to=${to("conversations", "", { human: "1" })} current=${needsHuman}>Those that need a person<//>
      <${Link} to=${to("tree")}>Those in memory, by shard<//></p>
    ${shard !== null ? html`<${InMemory} shard=${shard} />` : q || needsHuman
      ? html`<${Found} path=${needsHuman ? "needs_human=true" : `q=${encodeURIComponent(q)}`} none=${needsHuman ? "No conversation needs a person." : `Nobody is called ${q}.`} />`
      : html`<${Empty}>Search for a conversation, or choose a shard in the tree.<//>`}`;
}

/** Conversations of the database. @param {{ path: string, none: string }} props */
function Found({ path, none }) {
  const { items, error, more, isBusy } = usePages(
    (last) => get(`/v1/conversations?${path}&limit=${SIZE}${last ? `&after=${last.id}` : ""}`).then((page) => page.conversations), SIZE, path);
  const said = html`<p class="note" role="status">${isBusy ? "Looking…" : items.length === 0 ? (error ? "" : none) : `${items.length}${more ? " of more" : ""} found`}</p>`;
  if (items.length === 0) return html`<${Failed} error=${error} />${said}`;
  return html`<${Failed} error=${error} />${said}<${Wide} name="Conversations"><table>
    <thead><tr><th scope="col">Conversation</th><th scope="col">Channel</th><th scope="col">Began</th><th scope="col" class="number">Messages</th>
      <th scope="col" class="number">Pending</th><th scope="col">Language</th><th scope="col">Person</th></tr></thead>
    <tbody>${items.map((one) => html`<tr key=${one.id}>
      <td><${Link} to=${to("conversations", one.id)}><code>${one.id}</code><//></td><td>${one.channel} <small>${one.account}</small></td>
      <td><${At} at=${one.created_at} /></td><td class="number">${count(one.messages)}</td><td class="number">${count(one.pending)}</td>
      <td>${one.language ?? "–"}</td><td>${one.needs_human ? "needed" : "–"}</td></tr>`)}</tbody></table><//>
    <${More} act=${more} isBusy=${isBusy}>More<//>`;
}

/** Conversations that are in the memory of a shard. @param {{ shard: string }} props */
function InMemory({ shard }) {
  const { items, error, more, isBusy, reload } = usePages(
    (last) => get(`/v1/supervision/conversations?shard=${encodeURIComponent(shard)}&limit=${SIZE}${last ? `&after=${last.id}` : ""}`).then((page) => page.conversations), SIZE, `shard ${shard}`);
  return html`
    <h2>In the memory of shard ${shard}</h2>
    <p><${More} act=${reload} isBusy=${isBusy}>Look again<//></p>
    <${Failed} error=${error} />
    ${items.length === 0 && !isBusy ? html`<${Empty}>None is in memory.<//>` : html`<${Wide} name="Conversations"><table>
    <thead><tr><th scope="col">Conversation</th><th scope="col">Phase</th><th scope="col" class="number">Buffered</th><th scope="col" class="number">Timer</th><th scope="col" class="number">Handled</th></tr></thead>
    <tbody>${items.map((one) => html`<tr key=${one.id}>
      <td><${Link} to=${to("conversations", one.id)}><code>${one.id}</code><//></td><td>${words(one.detail?.phase ?? "does not answer")}</td>
      <td class="number">${count(one.waiting)}</td><td class="number">${one.detail?.timer_due_in_ms == null ? "–" : left(one.detail.timer_due_in_ms)}</td><td class="number">${count(one.handled)}</td></tr>`)}</tbody></table><//>`}
    <${More} act=${more} isBusy=${isBusy}>More<//>`;
}
