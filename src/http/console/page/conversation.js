// One conversation: its actor as it is now, its turns, and what was said.

import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { get } from "./api.js";
import { count, duration, left, words } from "./format.js";
import { Handoff } from "./handoff.js";
import { tookOf } from "./journeys.js";
import { Events } from "./overview.js";
import { useAnswer } from "./pages.js";
import { Actions, Detail, Said } from "./place.js";
import { to } from "./route.js";
import { At, Empty, Failed, Link, Panel, Wide, html } from "./ui.js";

/** Lines that are shown. */
const LINES = 200;

/** The time that is left until the batch closes, counting down between frames. @param {{ due: number | null | undefined, frame: number, isLive: boolean }} props */
export function Countdown({ due, frame, isLive }) {
  const [ms, setMs] = useState(due ?? 0);
  useEffect(() => {
    if (due === null || due === undefined || !isLive) return undefined;
    const end = performance.now() + due;
    const tick = () => setMs(Math.max(0, end - performance.now()));
    tick();
    // Calmly, while there is much of it.
    const timer = setInterval(tick, due < 10_000 ? 200 : 1000);
    return () => clearInterval(timer);
  }, [frame, due, isLive]);
  if (due === null || due === undefined) return html`<p class="countdown" data-armed="false">No timer is armed.</p>`;
  return html`<p class="countdown" data-armed="true">The batch closes in <strong role="timer">${left(ms)}</strong>${isLive ? "" : " (when last seen)"}</p>`;
}

/** Lines of the conversation. @param {{ lines: any[] }} props */
function Lines({ lines }) {
  return html`<ol class="chat">${lines.map((line) => html`<li key=${`${line.speaker} ${line.id}`} class=${line.author ? "operator" : line.speaker} data-state=${line.state}>
    <p dir="auto">${line.text ?? `(${line.kind})`}</p><footer>${line.author ?? (line.speaker === "customer" ? "customer" : "bot")}, ${line.state}, <${At} at=${line.at} /></footer></li>`)}</ol>`;
}

/** What people wrote, hidden until somebody asks for it: first what waits in the buffer. @param {{ id: string, may: boolean, seen: string }} props */
function Texts({ id, may, seen }) {
  const [isRevealed, setRevealed] = useState(false);
  const { found, error } = useAnswer(isRevealed ? `${id} ${seen}` : null, () => get(`/v1/conversations/${id}/messages?limit=${LINES}`));
  if (!may) return html`<${Empty}>What people wrote is not for your role.<//>`;
  if (!isRevealed) return html`<p><button type="button" class="reveal" onClick=${() => setRevealed(true)}>Reveal what was said</button> <small>It is written down in the audit log.</small></p>`;
  const lines = found?.messages ?? [];
  const waiting = lines.filter((/** @type {any} */ line) => line.state === "pending" && line.speaker === "customer");
  return html`<${Failed} error=${error} />
    ${waiting.length > 0 && html`<h3>Waits for its answer</h3><${Lines} lines=${waiting} /><h3>All of it</h3>`}
    ${found && html`<${Lines} lines=${lines} />`}
    ${lines.length >= LINES && html`<p class="note">The last ${LINES} lines are shown.</p>`}`;
}

/** The last turns, each a journey. @param {{ id: string, seen: string }} props */
function Turns({ id, seen }) {
  const { found, error } = useAnswer(`${id} ${seen}`, () => get(`/v1/journeys?conversation=${id}&limit=20`));
  const journeys = found?.journeys ?? [];
  if (journeys.length === 0) return html`<${Failed} error=${error} />${found && html`<${Empty}>It has had no turn yet.<//>`}`;
  return html`<${Failed} error=${error} /><${Wide} name="Turns"><table>
    <thead><tr><th scope="col">Began</th><th scope="col">Turn</th><th scope="col">Outcome</th><th scope="col">Class</th><th scope="col" class="number">Took</th></tr></thead>
    <tbody>${journeys.map((/** @type {any} */ one) => html`<tr key=${one.position}><td><${At} at=${one.started_at} /></td>
      <td><${Link} to=${to("journeys", String(one.position))}>${count(one.position)}<//></td><td>${one.outcome ?? one.state}</td><td>${words(one.class ?? "–")}</td>
      <td class="number">${duration(tookOf(one))}</td></tr>`)}</tbody></table><//>`;
}

/** @param {{ frame: any, id: string, events: any[], may: boolean, isLive: boolean, user: string }} props */
export function Conversation({ frame, id, events, may, isLive, user }) {
  const [round, setRound] = useState(0);
  // What somebody is at stays, also where the actor leaves memory or is silent for a look.
  const last = useRef(/** @type {any} */ (null));
  const live = frame.conversation;
  if (live && !live.error) last.current = live;
  const actor = last.current;
  const seen = `${live?.handled ?? 0} ${live?.waiting ?? 0} ${live?.detail?.phase ?? ""} ${round}`;
  const { found: stored, error } = useAnswer(`${id} ${seen}`, () => get(`/v1/conversations/${id}`));
  return html`
    <h1>Conversation</h1>
    <p class="note"><code>${id}</code></p>
    <${Failed} error=${error} />
    ${stored && html`<dl class="said">
      <div><dt>Channel</dt><dd>${stored.channel} ${stored.account}</dd></div><div><dt>Began</dt><dd><${At} at=${stored.created_at} /></dd></div>
      <div><dt>Messages</dt><dd>${count(stored.messages)}</dd></div><div><dt>Pending</dt><dd>${count(stored.pending)}</dd></div>
      <div><dt>Language</dt><dd>${stored.language ?? "–"}</dd></div><div><dt>Needs a person</dt><dd>${stored.needs_human ? "yes" : "no"}</dd></div>
    </dl>`}
    <div class="columns">
      <${Panel} title="Its actor" id="actor">
        ${live?.error && html`<${Failed} error=${live.error} />`}
        ${!live && html`<${Empty}>It is not in memory: it is loaded when there is something to do.${actor ? " This is how it was:" : ""}<//>`}
        ${actor && html`
          <${Countdown} due=${live?.detail?.timer_due_in_ms} frame=${frame.number} isLive=${isLive} />
          <p>In its buffer: <strong class="buffered">${count(actor.waiting)}</strong> ${actor.waiting === 1 ? "message" : "messages"}</p>
          <${Said} of=${actor} /><${Detail} detail=${actor.detail} />
          <${Actions} path=${`conversations/${id}`} actions=${["restart"]} may=${may} />`}
      <//>
      <${Panel} title="What happened" id="events"><${Events} events=${events} now=${Date.parse(frame.at)} /><//>
    </div>
    <${Panel} title="Who answers" id="handoff"><${Handoff} id=${id} stored=${stored} user=${user} may=${may} changed=${() => setRound((now) => now + 1)} /><//>
    <${Panel} title="Its turns" id="turns"><${Turns} id=${id} seen=${seen} /><//>
    <${Panel} title="What was said" id="messages"><${Texts} id=${id} may=${may} seen=${seen} /><//>`;
}
