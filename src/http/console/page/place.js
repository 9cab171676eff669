// One place of the tree: what it says about itself, what happened to it, what can be done.

import { useRef, useState } from "./vendor/hooks.js";
import { post } from "./api.js";
import { count, duration, fraction, rate, words } from "./format.js";
import { Events } from "./overview.js";
import { to } from "./route.js";
import { restarts, shownState } from "./tree.js";
import { Ago, Confirm, Empty, Link, Panel, State, html } from "./ui.js";

/** What an action does, as it is asked before. @type {Record<string, string>} */
const EXPLAIN = {
  restart: "It is thrown away and started anew. What it was at fails for its caller, who tries again; nothing acknowledged is lost.",
  pause: "It begins nothing new until it is resumed. A service refuses its calls at once; messages are kept.",
  resume: "It goes on.",
  drain: "It ends what is under way and begins nothing new until it is resumed.",
};

/** Where a place stands, each part a link. @param {{ path: string }} props */
export function Crumbs({ path }) {
  const parts = path ? path.split("/") : [];
  return html`<nav class="crumbs" aria-label="Where it stands">
    <${Link} to=${to("tree")}>tertulia<//>
    ${parts.map((part, index) => html` / <${Link} to=${to("place", parts.slice(0, index + 1).join("/"))} current=${index === parts.length - 1}>${part}<//>`)}
  </nav>`;
}

/** Buttons for what can be done with it. @param {{ path: string, actions: string[], may: boolean }} props */
export function Actions({ path, actions, may }) {
  const [asked, setAsked] = useState(/** @type {string | null} */ (null));
  if (actions.length === 0) return html`<${Empty}>Nothing can be asked of it.<//>`;
  if (!may) return html`<${Empty}>Your role sees, and does not act: ${actions.join(", ")} take an operator.<//>`;
  return html`<div class="actions">
    ${actions.map((action) => html`<button type="button" key=${action} onClick=${() => setAsked(action)}>${words(action)}</button>`)}
    ${asked && html`<${Confirm} title=${`${words(asked)} ${path}?`} explain=${EXPLAIN[asked]} confirm=${words(asked)}
      isDangerous=${asked !== "resume"}
      act=${(/** @type {string} */ reason) => post(`/v1/supervision/${path.split("/").map(encodeURIComponent).join("/")}/${asked}`, { reason })} close=${() => setAsked(null)} />`}
  </div>`;
}

/** What only this kind of thing says, as a list. @param {{ detail: any }} props */
export function Detail({ detail }) {
  const entries = Object.entries(detail ?? {}).filter(([, value]) => value !== null && value !== undefined);
  if (entries.length === 0) return null;
  /** @param {any} value @returns {any} */
  const shown = (value) => (typeof value === "object" ? html`<${Detail} detail=${value} />` : typeof value === "number" ? fraction(value) : String(value));
  return html`<dl class="detail-list">${entries.map(([name, value]) => html`<div key=${name}><dt>${words(name)}</dt><dd>${shown(value)}</dd></div>`)}</dl>`;
}

/** The figures that everything may say about itself. @param {{ of: any }} props */
export function Said({ of: node }) {
  const { latency } = node;
  const figures = [
    ["Mailbox", node.mailbox, count],
    ["Waiting", node.waiting, count],
    ["Oldest of them", node.oldest_ms, duration],
    ["In flight", node.in_flight, count],
    ["Handled", node.handled, count],
    ["Failed", node.failed, count],
    ["A second", node.rate_per_s, rate],
    ["p50", latency?.p50_ms, duration],
    ["p95", latency?.p95_ms, duration],
    ["p99", latency?.p99_ms, duration],
    ["Longest", latency?.max_ms, duration],
  ];
  const known = figures.filter(([, value]) => value !== null && value !== undefined);
  return html`<dl class="said">${known.map(([name, value, show]) => html`<div key=${name}><dt>${name}</dt><dd>${show(value)}</dd></div>`)}</dl>`;
}

/** @param {{ frame: any, path: string, events: any[], may: boolean, restarting: Set<string> }} props */
export function Place({ frame, path, events, may, restarting }) {
  // A look at which the monitor was silent takes nothing away that somebody is at.
  const last = useRef(/** @type {any} */ (null));
  if (frame.place) last.current = frame.place;
  const node = last.current;
  const now = Date.parse(frame.at);
  const isThere = Boolean(frame.place);
  if (!node) return html`<${Crumbs} path=${path} /><h1>${path}</h1><${Empty}>${frame.state === null ? "The monitor does not answer." : "Nothing stands here."}<//>`;
  const anew = Object.entries(node.restarts ?? {});
  return html`
    <${Crumbs} path=${path} />
    <h1>${node.path || "tertulia"} <${State} state=${isThere ? shownState(node, restarting) : "unknown"} /></h1>
    ${!isThere && html`<p class="failed">${frame.state === null ? "The monitor does not answer: this is what it said last." : "Nothing stands here any more: this is what was here."}</p>`}
    <p class="note">${words(node.kind)}, like this since <${Ago} at=${node.since} now=${now} />${node.last_reason ? `; last reason: ${node.last_reason}` : ""}</p>
    <${Panel} title="Actions"><${Actions} path=${node.path} actions=${node.actions ?? []} may=${may} /><//>
    <div class="columns">
      <${Panel} title="What it says" id="said"><${Said} of=${node} /><${Detail} detail=${node.detail} />
        ${anew.length > 0 && html`<p>Started anew: ${restarts(node)} times (${anew.map(([reason, times]) => `${words(reason)} ${times}`).join(", ")}), the last time <${Ago} at=${node.restarted_at} now=${now} /></p>`}
      <//>
      <${Panel} title="What happened" id="events"><${Events} events=${events} now=${now} /><//>
    </div>
    ${node.children?.length > 0 && html`<${Panel} title="Below it" id="below"><ul class="below">
      ${node.children.map((/** @type {any} */ child) => html`<li key=${child.path}><${Link} to=${to("place", child.path)}>${child.name}<//> <${State} state=${child.state} /></li>`)}
    </ul><//>`}`;
}
