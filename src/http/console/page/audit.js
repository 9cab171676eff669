// Who did what, why, and what came of it.

import { get } from "./api.js";
import { words } from "./format.js";
import { usePages } from "./pages.js";
import { At, Empty, Failed, More, Wide, html } from "./ui.js";

export function Audit() {
  const { items, error, more, isBusy, reload } = usePages(
    (/** @type {any} */ last) => get(`/v1/audit?limit=50${last ? `&before=${last.id}` : ""}`).then((page) => page.entries), 50, "audit");
  return html`
    <h1>Audit log</h1>
    <p class="note">What operators did here, and by the interface, the newest first. Nobody can change it.</p>
    <p><${More} act=${reload} isBusy=${isBusy}>Look again<//></p>
    <${Failed} error=${error} />
    ${items.length === 0 && !isBusy ? html`<${Empty}>Nobody has done anything yet.<//>` : html`<${Wide} name="Audit log"><table>
      <thead><tr><th scope="col">When</th><th scope="col">Who</th><th scope="col">What</th><th scope="col">To what</th><th scope="col">Why</th><th scope="col">Outcome</th></tr></thead>
      <tbody>${items.map((entry) => html`<tr key=${entry.id}>
        <td><${At} at=${entry.at} /></td><td>${entry.who} <small>${entry.role}</small></td><td>${words(entry.action)}</td>
        <td class="break">${entry.target}</td><td class="break">${entry.reason ?? "–"}</td><td class="break">${entry.outcome ?? "not written"}</td>
      </tr>`)}</tbody></table><//>`}
    <${More} act=${more} isBusy=${isBusy}>Older entries<//>`;
}
