// Who answers a conversation: the bot, or somebody who has taken it over.

import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { post } from "./api.js";
import { left } from "./format.js";
import { Confirm, Empty, Failed, html } from "./ui.js";

/** When a message that was written should have arrived, in milliseconds. */
const ARRIVED = 2000;

/** How often the time that is left is shown anew, in milliseconds. */
const TICK = 1000;

/** A new UUID; where the page comes without TLS, the browser has no function for it. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join("-");
}

/** The time until the bot answers again; says when it has passed. @param {{ ms: number, passed: () => void }} props */
function Left({ ms, passed }) {
  const [now, setNow] = useState(ms);
  useEffect(() => {
    const end = performance.now() + ms;
    const timer = setInterval(() => {
      const rest = Math.max(0, end - performance.now());
      setNow(rest);
      if (rest > 0) return;
      clearInterval(timer);
      passed();
    }, TICK);
    setNow(ms);
    return () => clearInterval(timer);
  }, [ms]);
  return html`<strong>${left(now)}</strong>`;
}

/**
 * @param {{ id: string, stored: any, user: string, may: boolean, changed: () => void }} props
 */
export function Handoff({ id, stored, user, may, changed }) {
  const [asked, setAsked] = useState(/** @type {"take-over" | "hand-back" | null} */ (null));
  const path = `/v1/conversations/${id}`;
  const taken = stored?.taken_by;
  const isMine = taken === user;
  const act = (/** @type {string} */ reason) => post(`${path}/${asked}`, { reason, from: taken }).then(changed);
  const TEXTS = {
    "take-over": { title: "Take this conversation over?", confirm: "Take over", explain: "The bot says nothing more, also in the turn that runs, until you hand it back or write nothing for a while. What it said already and is on its way is still sent." },
    "hand-back": { title: "Hand it back to the bot?", confirm: "Hand back", explain: "The bot answers the next message." },
  };
  return html`
    <p class="answers">${taken ? html`<b>${isMine ? "You answer." : `${taken} answers.`}</b> The bot answers again in <${Left} ms=${stored.bot_resumes_in_ms} passed=${changed} />, unless ${isMine ? "you write" : "they write"}.` : "The bot answers."}</p>
    ${!may && html`<${Empty}>Taking over takes an operator.<//>`}
    ${may && html`<div class="actions">
      ${!isMine && html`<button type="button" onClick=${() => setAsked("take-over")}>Take over</button>`}
      ${taken && html`<button type="button" onClick=${() => setAsked("hand-back")}>Hand back</button>`}</div>`}
    ${may && isMine && html`<${Write} path=${path} changed=${changed} />`}
    ${asked && html`<${Confirm} key=${asked} ...${TEXTS[asked]} act=${act} close=${() => setAsked(null)} />`}`;
}

/** What an operator writes. @param {{ path: string, changed: () => void }} props */
function Write({ path, changed }) {
  const [text, setText] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(/** @type {unknown} */ (null));
  // A message that is sent again, as nobody knows whether it came, is the same one.
  const draft = useRef(newId());
  /** @param {Event} event */
  const send = async (event) => {
    event.preventDefault();
    if (isBusy || !text.trim()) return;
    setBusy(true);
    setError(null);
    try {
      await post(`${path}/reply`, { text, id: draft.current });
      draft.current = newId();
      setText("");
      changed();
      setTimeout(changed, ARRIVED);
    } catch (failure) {
      setError(failure);
    }
    setBusy(false);
  };
  return html`<form class="write" onSubmit=${send}>
    <label>Your message <textarea rows="3" dir="auto" maxlength="4096" value=${text} onInput=${(/** @type {any} */ event) => { draft.current = newId(); setText(event.target.value); }}></textarea></label>
    <${Failed} error=${error} />
    <button type="submit" class="primary" aria-disabled=${isBusy || !text.trim()}>Send</button>
  </form>`;
}
