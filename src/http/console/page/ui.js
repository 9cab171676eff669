// What all views are made of: the template language, links, states, dialogs.

import { createElement } from "./vendor/preact.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import htm from "./vendor/htm.js";
import { ago, clock, full } from "./format.js";
import { go } from "./route.js";

/** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
export const html = htm.bind(createElement);

/**
 * The shapes of states: never told by color alone.
 * @type {Record<string, string>}
 */
const SHAPES = {
  running: "M3 8.5 6.5 12 13 4.5",
  restarting: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
  probing: "M6 6a2 2 0 1 1 2.8 1.8c-.5.2-.8.6-.8 1.2M8 12h.01",
  down: "M4 4l8 8M12 4l-8 8",
  paused: "M6 3v10M10 3v10",
  draining: "M8 3v9M4 8.5 8 12.5l4-4",
  frozen: "M8 2v12M3 5l10 6M13 5 3 11",
  stopped: "M4 4h8v8H4z",
  critical: "M8 3v6M8 12.5h.01",
  warning: "M8 3 1.8 13.5h12.4zM8 7v3M8 12h.01",
  notice: "M8 7v5M8 4h.01",
  ok: "M3 8.5 6.5 12 13 4.5",
};

/** @param {{ shape: string }} props */
export function Icon({ shape }) {
  return html`<svg class="icon" viewBox="0 0 16 16" width="14" height="14" aria-hidden="true"><path d=${SHAPES[shape] ?? SHAPES.notice} /></svg>`;
}

/** A state, by shape and word. @param {{ state: string | null | undefined }} props */
export function State({ state }) {
  const known = state ?? "unknown";
  return html`<span class="state" data-state=${known}><${Icon} shape=${known} />${known}</span>`;
}

/** A link within the console. @param {{ to: string, children?: any, class?: string, current?: boolean, label?: string }} props */
export function Link({ to, children, class: name, current, label }) {
  /** @param {MouseEvent} event */
  const click = (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return html`<a href=${to} class=${name} aria-current=${current ? "page" : undefined} aria-label=${label} onClick=${click}>${children}</a>`;
}

/** A time, as how long ago it is; the moment itself when pointed at. @param {{ at: number | string | null | undefined, now: number }} props */
export function Ago({ at, now }) {
  if (at === null || at === undefined) return html`<span>never</span>`;
  const moment = new Date(at);
  return html`<time dateTime=${moment.toISOString()} title=${full(moment)}>${ago(now - moment.getTime())}</time>`;
}

/** A time of day. @param {{ at: number | string | null | undefined }} props */
export function At({ at }) {
  if (at === null || at === undefined) return html`<span><span class="unseen">none</span><span aria-hidden="true">–</span></span>`;
  const moment = new Date(at);
  return html`<time dateTime=${moment.toISOString()} title=${full(moment)}>${clock(moment)}</time>`;
}

/** What there is to say where there is nothing. @param {{ children?: any }} props */
export function Empty({ children }) {
  return html`<p class="empty">${children}</p>`;
}

/** What went wrong. @param {{ error: unknown }} props */
export function Failed({ error }) {
  if (!error) return null;
  const text = error instanceof Error ? error.message : String(error);
  return html`<p class="failed" role="alert"><${Icon} shape="warning" />${text}</p>`;
}

/**
 * A heading, and what stands below it.
 * @param {{ title: string, id?: string, children?: any, tools?: any, class?: string }} props
 */
export function Panel({ title, id, children, tools, class: name }) {
  const key = id ?? title.toLowerCase().replaceAll(/[^a-z]+/g, "-");
  return html`<section class=${`panel ${name ?? ""}`} aria-labelledby=${`h-${key}`}>
    <header><h2 id=${`h-${key}`}>${title}</h2>${tools && html`<div class="tools">${tools}</div>`}</header>
    ${children}
  </section>`;
}

/** A button that asks for more: it keeps the focus while it waits. @param {{ act: (() => void) | null, isBusy: boolean, children?: any }} props */
export function More({ act, isBusy, children }) {
  return act && html`<button type="button" aria-disabled=${isBusy} onClick=${() => isBusy || act()}>${children}</button>`;
}

/** A box that scrolls sideways where a table is too wide; the keyboard reaches it. @param {{ name: string, children?: any }} props */
export function Wide({ name, children }) {
  return html`<div class="scroll" role="region" aria-label=${`${name}, table`} tabindex="0">${children}</div>`;
}

/**
 * Asks for a reason and a confirmation, and does it. Stays open when that fails, and says why.
 * @param {{ title: string, explain: any, confirm: string | null, isDangerous?: boolean, needsReason?: boolean,
 *           act: (reason: string) => Promise<unknown>, close: () => void, children?: any }} props
 */
export function Confirm({ title, explain, confirm, isDangerous, needsReason = true, act, close, children }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [reason, setReason] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(/** @type {unknown} */ (null));
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  /** @param {Event} event */
  const submit = async (event) => {
    event.preventDefault();
    if (isBusy) return;
    setBusy(true);
    setError(null);
    try {
      await act(reason.trim());
      // It gives the focus back to where it was, and closes itself.
      dialog.current?.close();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  /** What has begun is waited for: it may fail, and that must be heard. @param {Event} event */
  const hold = (event) => isBusy && event.preventDefault();
  return html`<dialog ref=${dialog} class="confirm" aria-labelledby="confirm-title" onClose=${close} onCancel=${hold}>
    <form onSubmit=${submit}>
      <h2 id="confirm-title">${title}</h2>
      <p>${explain}</p>
      ${children}
      ${needsReason && html`<label>Reason, for the audit log
        <textarea name="reason" rows="2" maxlength="500" required value=${reason}
          onInput=${(/** @type {any} */ event) => setReason(event.target.value)}></textarea></label>`}
      <${Failed} error=${error} />
      <footer>
        <button type="button" class="quiet" disabled=${isBusy} onClick=${() => dialog.current?.close()}>${confirm ? "Cancel" : "Close"}</button>
        ${confirm && html`<button type="submit" class=${isDangerous ? "danger" : "primary"} disabled=${isBusy || (needsReason && !reason.trim())}>${confirm}</button>`}
      </footer>
    </form>
  </dialog>`;
}
