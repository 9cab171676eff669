// The tree of supervision, as a treegrid that the keyboard reaches all of (WAI-ARIA Authoring Practices, "Treegrid").

import { useRef, useState } from "./vendor/hooks.js";
import { count, duration, rate } from "./format.js";
import { change, go, to } from "./route.js";
import { Ago, Empty, State, Wide, html } from "./ui.js";

/** @typedef {{ node: any, level: number, position: number, siblings: number, isOpen: boolean | undefined }} Row */

/** What a node is called in the address. @param {any} node */
const idOf = (node) => node.path || ".";

/** The rows that are seen, from above. Pure. @param {any} root @param {Set<string>} closed @returns {Row[]} */
export function rows(root, closed) {
  /** @type {Row[]} */
  const seen = [];
  /** @param {any[]} nodes @param {number} level */
  const walk = (nodes, level) => {
    nodes.forEach((node, index) => {
      const below = node.children ?? [];
      const isOpen = below.length ? !closed.has(idOf(node)) : undefined;
      seen.push({ node, level, position: index + 1, siblings: nodes.length, isOpen });
      if (isOpen) walk(below, level + 1);
    });
  };
  walk([root], 1);
  return seen;
}

/** Where a node is looked at. @param {any} node */
const placeOf = (node) => (node.kind === "conversations" ? to("conversations", "", { shard: node.path.split("/")[1] }) : to("place", node.path));

/** How often it was started anew. @param {any} node */
export const restarts = (node) => Object.values(node.restarts ?? {}).reduce((/** @type {number} */ sum, /** @type {any} */ some) => sum + some, 0);

/** The state to show: a restart is seen although it is over before the next frame. @param {any} node @param {Set<string>} restarting */
export const shownState = (node, restarting) => (node.state === "running" && restarting.has(node.path) ? "restarting" : node.state);

/** What narrow windows have no columns for. @param {any} node @param {number} now */
function summary(node, now) {
  const times = restarts(node);
  const parts = [
    node.waiting ? `${count(node.waiting)} wait` : "",
    node.oldest_ms ? `oldest ${duration(node.oldest_ms)}` : "",
    node.rate_per_s ? `${rate(node.rate_per_s)}/s` : "",
    node.latency ? `p99 ${duration(node.latency.p99_ms)}` : "",
  ].filter(Boolean);
  return html`${parts.join(", ")}${times > 0 && html`${parts.length > 0 ? ", " : ""}restarted ${times}× (${node.last_reason}, <${Ago} at=${node.restarted_at} now=${now} />)`}`;
}

/** @param {{ frame: any, route: any, restarting: Set<string> }} props */
export function Tree({ frame, route, restarting }) {
  const closed = new Set((route.query.get("closed") ?? "").split(",").filter(Boolean));
  const [current, setCurrent] = useState("");
  const grid = useRef(/** @type {HTMLElement | null} */ (null));
  const shown = frame.tree ? rows(frame.tree, closed) : [];
  const at = Math.max(0, shown.findIndex(({ node }) => node.path === current));
  if (!frame.tree) return html`<h1>Supervision</h1><${Empty}>The monitor does not answer. It is started anew by itself.<//>`;
  /** @param {string} path @param {boolean} opens */
  const fold = (path, opens) => {
    if (opens) closed.delete(path);
    else closed.add(path);
    change(route, { closed: [...closed].join(",") });
  };
  /** @param {number} index */
  const move = (index) => {
    // At once, since the next key goes to where the focus is; which row that is, the focus tells.
    const rows = grid.current?.querySelectorAll("tbody tr") ?? [];
    /** @type {HTMLElement | undefined} */ (rows[Math.min(rows.length - 1, Math.max(0, index))])?.focus();
  };
  /** @param {KeyboardEvent} event @param {Row} row @param {number} index */
  const press = (event, row, index) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const page = 10;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowDown: () => move(index + 1),
      ArrowUp: () => move(index - 1),
      PageDown: () => move(index + page),
      PageUp: () => move(index - page),
      Home: () => move(0),
      End: () => move(shown.length - 1),
      ArrowRight: () => (row.isOpen === false ? fold(idOf(row.node), true) : row.isOpen && move(index + 1)),
      ArrowLeft: () => {
        if (row.isOpen) return fold(idOf(row.node), false);
        const above = shown.slice(0, index).findLastIndex(({ level }) => level < row.level);
        if (above >= 0) move(above);
      },
      Enter: () => go(placeOf(row.node)),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  const now = Date.parse(frame.at);
  return html`
    <h1>Supervision</h1>
    <p class="note">Arrow keys move, open and close; Enter looks at one.</p>
    <${Wide} name="Tree of supervision">
    <table class="tree" role="treegrid" aria-label="Tree of supervision" ref=${grid}>
      <thead><tr>
        <th scope="col">Name</th><th scope="col">State</th><th scope="col" class="number">Mailbox</th>
        <th scope="col" class="number wide">Waiting</th><th scope="col" class="number wide">Oldest</th>
        <th scope="col" class="number">In flight</th>
        <th scope="col" class="number wide">A second</th><th scope="col" class="number wide">p99</th><th scope="col" class="wide">Restarts</th>
      </tr></thead>
      <tbody>
        ${shown.map((row, index) => {
          const { node, level } = row;
          const times = restarts(node);
          return html`<tr role="row" key=${node.path || "root"} data-path=${node.path} aria-level=${level} aria-posinset=${row.position} aria-setsize=${row.siblings}
              aria-expanded=${row.isOpen === undefined ? undefined : String(row.isOpen)} tabindex=${index === at ? 0 : -1}
              onKeyDown=${(/** @type {KeyboardEvent} */ event) => press(event, row, index)}
              onFocus=${() => setCurrent(node.path)}
              onDblClick=${() => go(placeOf(node))}>
            <th scope="row" class="name" data-level=${Math.min(level, 6)}>
              ${row.isOpen === undefined ? html`<span class="leaf" aria-hidden="true"></span>` : html`<span class="fold" aria-hidden="true"
                onClick=${() => fold(idOf(node), !row.isOpen)}>${row.isOpen ? "▾" : "▸"}</span>`}
              <a href=${placeOf(node)} tabindex="-1" onClick=${(/** @type {MouseEvent} */ event) => {
                if (event.metaKey || event.ctrlKey || event.shiftKey) return;
                event.preventDefault();
                go(placeOf(node));
              }}>${node.name}</a>
              <small class="narrow">${summary(node, now)}</small>
            </th>
            <td><${State} state=${shownState(node, restarting)} /></td>
            <td class="number">${count(node.mailbox)}</td>
            <td class="number wide">${count(node.waiting)}</td>
            <td class="number wide">${duration(node.oldest_ms)}</td>
            <td class="number">${count(node.in_flight)}</td>
            <td class="number wide">${rate(node.rate_per_s)}</td>
            <td class="number wide">${duration(node.latency?.p99_ms)}</td>
            <td class="wide restarts">${times === 0 ? "–" : html`<span title=${node.last_reason}>${times} <small>${node.last_reason}, <${Ago} at=${node.restarted_at} now=${now} /></small></span>`}</td>
          </tr>`;
        })}
      </tbody>
    </table><//>`;
}
