// The console: who is signed in, where we are, and what is shown there.

import { createElement, render } from "./vendor/preact.js";
import { useEffect, useErrorBoundary, useMemo, useRef, useState } from "./vendor/hooks.js";
import { Audit } from "./audit.js";
import { Conversation } from "./conversation.js";
import { Conversations } from "./conversations.js";
import { Journey, Journeys } from "./journeys.js";
import { Knowledge } from "./knowledge.js";
import { Leftovers } from "./leftovers.js";
import { useLive } from "./live.js";
import { Overview } from "./overview.js";
import { Place } from "./place.js";
import { to, useRoute } from "./route.js";
import { SignIn, signOut, useUser } from "./sign_in.js";
import { Tree } from "./tree.js";
import { At, Empty, Failed, Link, State, html } from "./ui.js";

/** What can be looked at, in the order of the menu; who may. @type {{ view: string, name: string, needs?: string }[]} */
const MENU = [
  { view: "overview", name: "Overview" },
  { view: "tree", name: "Supervision" },
  { view: "conversations", name: "Conversations" },
  { view: "journeys", name: "Journeys" },
  { view: "leftovers", name: "Leftovers", needs: "operator" },
  { view: "knowledge", name: "Knowledge" },
  { view: "audit", name: "Audit log", needs: "operator" },
];

/** Events that are kept for a view. */
const EVENTS_MAX = 200;

/** Points of a quarter of an hour. */
const POINTS_MAX = 180;

/** What the stream is asked for at an address. Pure. @param {{ view: string, rest: string }} route */
export function asked({ view, rest }) {
  if (view === "overview" || view === "tree") return `show=${view}`;
  if (view === "place") return `show=place&path=${encodeURIComponent(rest)}`;
  if (view === "conversations" && rest) return `show=conversation&id=${encodeURIComponent(rest)}`;
  return "show=state";
}

/** Whether a role may do what takes an operator. @param {string} role */
const isOperator = (role) => role === "operator" || role === "admin";

/** The places that were started anew since the last frame: they are shown as such until the next, however short it was. Pure. @param {any[]} events */
export function restartingIn(events) {
  return new Set(events.filter((event) => ["failed", "restarted"].includes(event.kind) && !event.conversation).map((event) => event.path));
}

/** The stream of a view, with its events and points put together over the frames. @param {string} query @param {boolean} isPaused */
function useView(query, isPaused) {
  const kept = useRef({ query, events: /** @type {any[]} */ ([]), series: /** @type {any[]} */ ([]) });
  if (kept.current.query !== query) kept.current = { query, events: [], series: [] };
  const live = useLive(query, isPaused, (frame) => {
    const { events, series } = kept.current;
    const before = frame.past ? frame.past.toReversed() : events;
    kept.current.events = [...frame.events.toReversed(), ...before].slice(0, EVENTS_MAX);
    if (frame.series) kept.current.series = frame.series;
    else if (frame.points) kept.current.series = [...series, ...frame.points].slice(-POINTS_MAX);
  });
  return { ...live, events: kept.current.events, series: kept.current.series };
}

/** Whether what is shown is of now; a button that holds it still. @param {{ isLive: boolean, isPaused: boolean, since: number, isKnown: boolean, toggle: () => void }} props */
function Pulse({ isLive, isPaused, since, isKnown, toggle }) {
  const said = isPaused ? html`paused at <${At} at=${since} />` : isLive ? "live" : isKnown ? html`stale since <${At} at=${since} />` : "connecting…";
  return html`<button type="button" class="pulse" data-live=${isLive} aria-pressed=${isPaused} title=${isPaused ? "Go on" : "Hold it still"} onClick=${toggle}>${said}</button>
    <span class="unseen" role="status">${isPaused ? "paused" : isLive ? "live" : isKnown ? "stale" : "connecting"}</span>`;
}

const THEMES = ["auto", "light", "dark"];

/** A choice of light or dark; the system's unless somebody chose. `theme.js` shows it when the page comes. */
function Theme() {
  const [theme, setTheme] = useState(() => document.documentElement.dataset.theme ?? "auto");
  /** @param {any} event */
  const choose = (event) => {
    const chosen = event.target.value;
    setTheme(chosen);
    document.documentElement.dataset.theme = chosen;
    try {
      localStorage.setItem("theme", chosen);
    } catch {
      // Where nothing may be kept, it lasts as long as the page.
    }
  };
  return html`<label class="theme">Theme <select value=${theme} onChange=${choose}>
    ${THEMES.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}</select></label>`;
}

/** The views that the stream feeds, and what they need of it. @type {Record<string, (frame: any) => boolean>} */
const FED = {
  overview: (frame) => Boolean(frame.figures),
  tree: () => true,
  place: () => true,
  conversations: () => true,
};

/** @param {{ user: import("./sign_in.js").User, setUser: (user: null) => void }} props */
function Shell({ user, setUser }) {
  const route = useRoute();
  const query = useMemo(() => asked(route), [route.view, route.rest]);
  const [isPaused, setPaused] = useState(false);
  const [failure, setFailure] = useState(/** @type {unknown} */ (null));
  const { frame, isLive, since, events, series } = useView(query, isPaused);
  const may = isOperator(user.role);
  const menu = MENU.filter(({ needs }) => !needs || may);
  const title = MENU.find(({ view }) => view === route.view)?.name ?? (route.view === "place" ? route.rest || "tertulia" : "Console");
  useEffect(() => {
    document.title = `${title} · Tertulia`;
  }, [title]);
  // Whoever follows a link is at the beginning of what it leads to.
  const visited = useRef(`${route.view}/${route.rest}`);
  useEffect(() => {
    const here = `${route.view}/${route.rest}`;
    if (visited.current !== here) document.querySelector("main")?.focus({ preventScroll: true });
    visited.current = here;
  }, [route.view, route.rest]);
  const out = () => signOut().then(() => setUser(null), setFailure);
  const isFed = route.view in FED && (route.view !== "conversations" || route.rest !== "");
  // What the stream does not feed is drawn anew only when the address changes.
  const still = useMemo(() => (isFed ? null : html`<${Still} ...${{ route, may, role: user.role }} />`), [isFed, route, user]);
  const fed = isFed && frame && FED[route.view]?.(frame);
  return html`
    <a class="skip" href="#main">To the content</a>
    <header class="top">
      <span class="brand"><span class="mark" aria-hidden="true"><i></i><i></i><i></i></span>Tertulia</span>
      <${State} state=${frame?.state} />
      <${Pulse} ...${{ isLive, isPaused, since, isKnown: frame !== null, toggle: () => setPaused(!isPaused) }} />
      <span class="who">${user.name} <small>${user.role}</small></span>
      <${Theme} />
      <button type="button" class="quiet sign-out" onClick=${out}>Sign out</button>
    </header>
    <nav class="menu" aria-label="Console"><ul>
      ${menu.map(({ view, name }) => html`<li key=${view}><${Link} to=${to(view)} current=${route.view === view || (view === "tree" && route.view === "place")}>${name}<//></li>`)}
    </ul></nav>
    <main id="main" tabindex="-1" data-live=${isLive}>
      <${Failed} error=${failure} />
      ${isFed && frame && !isLive && html`<p class="stale">What is shown is not of now.</p>`}
      ${still ?? (fed ? html`<${Fed} key=${`${route.view}/${route.rest}`} ...${{ route, frame, events, series, may, isLive, user: user.name }} />` : html`<${Empty}>Connecting…<//>`)}
    </main>`;
}

/** What went wrong in a view costs that view alone. @param {{ children?: any }} props */
function Guard({ children }) {
  const [error, reset] = useErrorBoundary();
  if (!error) return children;
  return html`<h1>This page cannot be shown</h1><${Failed} error=${error} /><p><button type="button" onClick=${reset}>Try again</button></p>`;
}

/** A view that the stream feeds. @param {any} props */
function Fed({ route, frame, events, series, may, isLive, user }) {
  const { view, rest } = route;
  const restarting = restartingIn(frame.events);
  const views = {
    overview: () => html`<${Overview} ...${{ frame, series, events, may }} />`,
    tree: () => html`<${Tree} ...${{ frame, route, restarting }} />`,
    place: () => html`<${Place} ...${{ frame, path: rest, events, may, restarting }} />`,
    conversations: () => html`<${Conversation} ...${{ frame, id: rest, events, may, isLive, user }} />`,
  };
  return html`<${Guard}>${/** @type {Record<string, () => any>} */ (views)[view]?.()}<//>`;
}

/** A view that asks for what it shows by itself. @param {any} props */
function Still({ route, may, role }) {
  const { view, rest } = route;
  /** @type {Record<string, () => any>} */
  const views = {
    conversations: () => html`<${Conversations} route=${route} />`,
    journeys: () => (rest ? html`<${Journey} key=${rest} ...${{ position: rest, may }} />` : html`<${Journeys} ...${{ route, may }} />`),
    leftovers: () => html`<${Leftovers} role=${role} />`,
    knowledge: () => html`<${Knowledge} ...${{ route, may }} />`,
    audit: () => html`<${Audit} />`,
  };
  const known = views[view];
  return html`<${Guard} key=${`${view}/${rest}`}>${known ? known() : html`<h1>There is no such page</h1><p><${Link} to=${to("overview")}>To the overview<//></p>`}<//>`;
}

function Console() {
  const { user, why, setUser } = useUser();
  if (user === undefined) return html`<main class="sign-in"><div><${Empty}>Connecting…<//><${Failed} error=${why} /></div></main>`;
  return user ? html`<${Shell} ...${{ user, setUser }} />` : html`<${SignIn} setUser=${setUser} why=${why} />`;
}

render(createElement(Console, null), /** @type {HTMLElement} */ (document.querySelector("#app")));
