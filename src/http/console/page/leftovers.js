// What went wrong and waits for somebody: dead letters, ambiguous sends, bodies in quarantine.

import { useState } from "./vendor/hooks.js";
import { get, post } from "./api.js";
import { usePages } from "./pages.js";
import { to } from "./route.js";
import { At, Confirm, Empty, Failed, Link, More, Panel, Wide, html } from "./ui.js";

const SIZE = 50;

/** How many the server deals with at once. */
const AT_ONCE = 500;

/**
 * What can be done with a kind of leftovers.
 * @typedef {{ name: string, path: string, done: string, needs: "operator" | "admin", explain: string, isDangerous?: boolean }} Act
 * @typedef {{ id: string, title: string, none: string, explain: string, load: (last: any) => Promise<any[]>, idOf: (item: any) => number,
 *             head: string[], cells: (item: any) => any[], acts: Act[] }} Kind
 */

/** @type {Kind[]} */
const KINDS = [
  {
    id: "dead-letters",
    title: "Dead letters",
    none: "No message has failed alone.",
    explain: "Messages that failed alone. Their sender got a phrase, and a person was asked for.",
    load: (last) => get(`/v1/dead-letters?limit=${SIZE}${last ? `&after=${last.id}` : ""}`).then((page) => page.dead_letters),
    idOf: (letter) => letter.id,
    head: ["Conversation", "Came", "Text", "Why"],
    cells: (letter) => [conversation(letter.conversation), html`<${At} at=${letter.received_at} />`, letter.text ?? `(${letter.kind})`, letter.reason],
    acts: [
      { name: "replay", path: "/v1/dead-letters/replay", done: "replayed", needs: "operator", explain: "They wait for their answer again, each alone." },
      { name: "discard", path: "/v1/dead-letters/discard", done: "discarded", needs: "admin", isDangerous: true, explain: "They end without an answer, for good. The reason is kept with each." },
    ],
  },
  {
    id: "ambiguous",
    title: "Ambiguous sends",
    none: "No send is ambiguous.",
    explain: "Parts of replies of which nobody knows whether they arrived: the connection broke after they were sent.",
    load: (last) => get(`/v1/ambiguous?limit=${SIZE}${last ? `&after=${last.position}` : ""}`).then((page) => page.parts),
    idOf: (part) => part.position,
    head: ["Conversation", "Stored", "Text", "Why"],
    cells: (part) => [conversation(part.conversation), html`<${At} at=${part.created_at} />`, part.text, part.error ?? ""],
    acts: [
      { name: "send again", path: "/v1/ambiguous/resend", done: "resent", needs: "operator", explain: "Whoever got it already gets it twice." },
      { name: "discard", path: "/v1/ambiguous/discard", done: "discarded", needs: "admin", isDangerous: true, explain: "They are given up as failed, for good." },
    ],
  },
  {
    id: "quarantine",
    title: "Quarantine",
    none: "Every body was understood.",
    explain: "Bodies of webhooks that were signed and not understood, the newest first.",
    load: (last) => get(`/v1/quarantine?limit=${SIZE}${last ? `&before=${last.id}` : ""}`).then((page) => page.quarantined),
    idOf: (body) => body.id,
    head: ["Channel", "Came", "Body", "Why"],
    cells: (body) => [body.channel, html`<${At} at=${body.received_at} />`, html`<details><summary>${body.body.length} characters</summary><pre>${body.body}</pre></details>`, body.reason],
    acts: [
      { name: "read again", path: "/v1/quarantine/replay", done: "replayed", needs: "operator", explain: "What is understood now is stored, each message once, and its body leaves." },
      { name: "discard", path: "/v1/quarantine/discard", done: "discarded", needs: "admin", isDangerous: true, explain: "They are removed for good." },
    ],
  },
];

/** @param {string} id */
const conversation = (id) => html`<${Link} to=${to("conversations", id)}><code>${id.slice(0, 13)}…</code><//>`;

/** @param {{ kind: Kind, role: string }} props */
function Leftover({ kind, role }) {
  const { items, error, more, isBusy, reload } = usePages(kind.load, SIZE, kind.id);
  const [chosen, setChosen] = useState(/** @type {Set<number>} */ (new Set()));
  const [asked, setAsked] = useState(/** @type {Act | null} */ (null));
  const [said, setSaid] = useState("");
  /** @param {number} id */
  const toggle = (id) => setChosen((now) => {
    const next = new Set(now);
    if (!next.delete(id)) next.add(id);
    return next;
  });
  const isAll = items.length > 0 && items.every((item) => chosen.has(kind.idOf(item)));
  const may = (/** @type {Act} */ { needs }) => role === "admin" || needs === "operator";
  /** @param {string} reason */
  const act = async (reason) => {
    const { path, done } = /** @type {Act} */ (asked);
    const ids = [...chosen];
    let [acted, left] = [0, 0];
    for (let from = 0; from < ids.length; from += AT_ONCE) {
      const answer = await post(path, { ids: ids.slice(from, from + AT_ONCE), reason });
      acted += Array.isArray(answer[done]) ? answer[done].length : answer[done];
      left += answer.not_understood?.length ?? 0;
    }
    setSaid(`${acted} ${done}${left ? `, ${left} not understood` : ""}.`);
    setChosen(new Set());
    reload();
  };
  return html`<${Panel} title=${kind.title} id=${kind.id}>
    <p class="note">${kind.explain}</p>
    <${Failed} error=${error} />
    <p role="status" class="done">${said}</p>
    ${items.length === 0 ? !isBusy && !error && html`<${Empty}>${kind.none}<//>` : html`
      <div class="actions">${kind.acts.filter(may).map((one) => html`<button type="button" key=${one.name} disabled=${chosen.size === 0}
        onClick=${() => setAsked(one)}>${one.name} ${chosen.size || ""}</button>`)}</div>
      <${Wide} name=${kind.title}><table>
        <thead><tr><th scope="col"><input type="checkbox" aria-label=${`All ${kind.title}`} checked=${isAll}
          onChange=${() => setChosen(isAll ? new Set() : new Set(items.map(kind.idOf)))} /></th>${kind.head.map((name) => html`<th scope="col" key=${name}>${name}</th>`)}</tr></thead>
        <tbody>${items.map((item) => html`<tr key=${kind.idOf(item)} data-id=${kind.idOf(item)}>
          <td><input type="checkbox" aria-label=${`Number ${kind.idOf(item)}`} checked=${chosen.has(kind.idOf(item))} onChange=${() => toggle(kind.idOf(item))} /></td>
          ${kind.cells(item).map((cell, index) => html`<td key=${index} dir="auto" class="break">${cell}</td>`)}</tr>`)}</tbody></table><//>
      <${More} act=${more} isBusy=${isBusy}>More<//>`}
    ${asked && html`<${Confirm} key=${asked.name} title=${`${asked.name} ${chosen.size}?`} explain=${asked.explain} confirm=${asked.name} isDangerous=${asked.isDangerous}
      act=${act} close=${() => setAsked(null)} />`}
  <//>`;
}

/** @param {{ role: string }} props */
export function Leftovers({ role }) {
  if (role === "viewer") return html`<h1>Leftovers</h1><${Empty}>They hold what people wrote: that is not for your role.<//>`;
  return html`<h1>Leftovers</h1>${KINDS.map((kind) => html`<${Leftover} key=${kind.id} kind=${kind} role=${role} />`)}`;
}
