// How everything is: figures, what they were, what is wrong, what went wrong.

import { useState } from "./vendor/hooks.js";
import { get, post } from "./api.js";
import { Sparkline } from "./chart.js";
import { count, duration, rate, size, words } from "./format.js";
import { to } from "./route.js";
import { Ago, Confirm, Empty, Icon, Link, Panel, Wide, html } from "./ui.js";

/** A figure, with its last quarter of an hour. @param {any} props */
function Figure({ name, value, note, points, of, now, show }) {
  return html`<div class="figure">
    <dt>${name}</dt>
    <dd><strong>${value}</strong>${note && html`<small>${note}</small>`}</dd>
    <dd class="drawn"><${Sparkline} points=${points} of=${of} now=${now} name=${name} show=${show} /></dd>
  </div>`;
}

/** @param {{ warnings: any[], now: number }} props */
export function Warnings({ warnings, now }) {
  if (warnings.length === 0) return html`<p class="calm"><${Icon} shape="ok" />Nothing is wrong.</p>`;
  return html`<ul class="warnings">
    ${warnings.map((warning) => html`<li key=${`${warning.code} ${warning.path ?? ""}`} data-severity=${warning.severity}>
      <${Icon} shape=${warning.severity} />
      <div>
        <p><b class="severity">${warning.severity}</b> ${warning.cause}</p>
        <p class="advice">What to do: ${warning.advice}.</p>
      </div>
      ${warning.path !== undefined && html`<${Link} to=${to("place", warning.path)} label=${`Look at ${warning.path}`}>Look<//>`}
    </li>`)}
  </ul>`;
}

/** @param {{ events: any[], now: number }} props */
export function Events({ events, now }) {
  if (events.length === 0) return html`<${Empty}>Nothing has happened since the server started.<//>`;
  return html`<ol class="events">
    ${events.map((event) => html`<li key=${event.id}>
      <${Ago} at=${event.at} now=${now} />
      <b data-kind=${event.kind}>${words(event.kind)}</b>
      <${Link} to=${event.conversation ? to("conversations", event.conversation) : to("place", event.path)}>${event.path}<//>
      ${event.count > 0 && html`<span>${event.count} times</span>`}
      ${event.detail && html`<span class="detail">${event.detail}</span>`}
    </li>`)}
  </ol>`;
}

/**
 * What is done to everything at once. Turns are those of every shard.
 * @type {{ name: string, places: (tree: any) => string[], action: string, explain: string }[]}
 */
const EVERYWHERE = [
  { name: "Pause intake", places: () => ["store"], action: "pause", explain: "Webhooks and messages get 503 until it is resumed; their senders try again. Turns and replies go on." },
  { name: "Resume intake", places: () => ["store"], action: "resume", explain: "Webhooks and messages are taken again." },
  { name: "Pause turns", places: turnsOf, action: "pause", explain: "Messages are taken and wait; no turn begins until they are resumed." },
  { name: "Drain turns", places: turnsOf, action: "drain", explain: "Turns that run come to their end; no turn begins until they are resumed." },
  { name: "Resume turns", places: turnsOf, action: "resume", explain: "What waits is answered." },
];

/** The gates of turns of all shards. @param {any} tree @returns {string[]} */
function turnsOf(tree) {
  const shards = tree.children.find((/** @type {any} */ node) => node.path === "shards");
  return (shards?.children ?? []).map((/** @type {any} */ shard) => `${shard.path}/turns`);
}

/** Buttons for all of it. */
function Everywhere() {
  const [asked, setAsked] = useState(/** @type {typeof EVERYWHERE[number] | null} */ (null));
  /** @param {string} reason */
  const act = async (reason) => {
    if (!asked) return;
    const paths = asked.places(await get("/v1/supervision/tree"));
    const refused = /** @type {string[]} */ ([]);
    // One that refuses keeps no other from it.
    for (const path of paths) await post(`/v1/supervision/${path}/${asked.action}`, { reason }).catch((/** @type {any} */ failure) => refused.push(`${path}: ${failure.message}`));
    if (refused.length > 0) throw new Error(`${paths.length - refused.length} of ${paths.length} did it. ${refused.join("; ")}`);
  };
  return html`<${Panel} title="Everything at once" id="everywhere"><div class="actions">
      ${EVERYWHERE.map((one) => html`<button type="button" key=${one.name} onClick=${() => setAsked(one)}>${one.name}</button>`)}</div>
    ${asked && html`<${Confirm} key=${asked.name} title=${`${asked.name}?`} explain=${asked.explain} confirm=${asked.name} isDangerous=${asked.action !== "resume"}
      act=${act} close=${() => setAsked(null)} />`}
  <//>`;
}

/** @param {{ frame: any, series: any[], events: any[], may: boolean }} props */
export function Overview({ frame, series, events, may }) {
  const { figures, warnings } = frame;
  const now = Date.parse(frame.at);
  const { rates, answers, memory } = figures;
  const { queue, commit_size: commitSize, commits, reads_in_flight: reading, reads_waiting: waiting } = figures.store;
  const shared = { points: series, now };
  const errors = Object.entries(rates.recent_errors);
  return html`
    <h1>Overview</h1>
    <${Panel} title="Warnings"><${Warnings} warnings=${warnings} now=${now} /><//>
    ${may && html`<${Everywhere} />`}
    <${Panel} title="Conversations" id="figures">
      <dl class="figures">
        <${Figure} name="Messages in, a second" value=${rate(rates.messages)} of=${["messages"]} show=${rate} ...${shared} />
        <${Figure} name="Turns, a second" value=${rate(rates.turns)} of=${["turns"]} show=${rate} ...${shared} />
        <${Figure} name="Replies, a second" value=${rate(rates.replies)} of=${["replies"]} show=${rate} ...${shared} />
        <${Figure} name="Answer time, p50" value=${duration(answers?.p50_ms)}
          note=${answers ? `p95 ${duration(answers.p95_ms)}, p99 ${duration(answers.p99_ms)}` : "no answer of late"}
          of=${["p50_ms", "p95_ms", "p99_ms"]} show=${duration} ...${shared} />
        <${Figure} name="Backlog" value=${count(figures.backlog)} note="messages that wait or are in a turn" of=${["backlog"]} show=${count} ...${shared} />
        <${Figure} name="Live conversations" value=${count(figures.conversations)} of=${["conversations"]} show=${count} ...${shared} />
        <${Figure} name="Errors, a second" value=${rate(rates.errors)} of=${["errors"]} show=${rate} ...${shared} />
      </dl>
      <p class="note">Answer times count from the end of the quiet period to the answer on disk, of the last minute. Their lines: <span class="legend" data-line="0">p50</span> <span class="legend" data-line="1">p95</span> <span class="legend" data-line="2">p99</span>.</p>
    <//>
    <${Panel} title="Machine and database" id="machine">
      <dl class="figures">
        <${Figure} name="Memory" value=${size(memory.anonymous_bytes)} note=${`${size(memory.resident_bytes)} with mapped files`}
          of=${["memory"]} show=${size} ...${shared} />
        <${Figure} name="Writer queue" value=${count(queue)} of=${["queue"]} show=${count} ...${shared} />
        <${Figure} name="Commit size" value=${count(commitSize)} note="requests in the last commit" of=${["commit_size"]} show=${count} ...${shared} />
        <${Figure} name="Commit time, p50" value=${duration(commits?.p50_ms)} note=${commits ? `p99 ${duration(commits.p99_ms)}` : ""}
          of=${["commit_ms", "commit_p99_ms"]} show=${duration} ...${shared} />
        <${Figure} name="Database pool" value=${count(reading)} note=${`reads under way, ${count(waiting)} wait`}
          of=${["reads"]} show=${count} ...${shared} />
      </dl>
    <//>
    <div class="columns">
      <${Panel} title="Errors by cause" id="errors">
        <${Wide} name="Errors by cause"><table>
          <thead><tr><th scope="col">Cause</th><th scope="col" class="number">15 minutes</th><th scope="col" class="number">In all</th><th scope="col" class="drawn">Every 5 s</th></tr></thead>
          <tbody>${errors.map(([cause, recent]) => html`<tr key=${cause}>
            <th scope="row">${words(cause)}</th><td class="number">${count(/** @type {number} */ (recent))}</td>
            <td class="number">${count(frame.counters.errors[cause])}</td>
            <td class="drawn"><${Sparkline} name=${words(cause)} of=${[`causes.${cause}`]} show=${count} ...${shared} /></td></tr>`)}</tbody>
        </table><//>
      <//>
      <${Panel} title="What happened" id="events"><${Events} events=${events.slice(0, 20)} now=${now} /><//>
    </div>`;
}
