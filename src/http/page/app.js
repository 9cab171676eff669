// The chat page. Texts reach the document as text only, never as markup.

const log = document.querySelector("#log");
const empty = document.querySelector("#empty");
const banner = document.querySelector("#banner");
const status = document.querySelector("#status");
const composer = document.querySelector("#composer");
const input = document.querySelector("#text");

/** Customer messages by the id that was chosen here, so that history does not show them twice. */
const known = new Set();
/** The last reply that is shown; the stream goes on behind it. */
let position = 0;
let stream = null;
let reconnect = null;
let countdown = null;
/** Messages are stored one after the other, in the order they were written. */
let sending = Promise.resolve();

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function atEnd() {
  return log.scrollHeight - log.scrollTop - log.clientHeight < 80;
}

function show(speaker, text) {
  const follow = speaker === "customer" || atEnd();
  const item = element("li", speaker);
  const words = element("p", "", text);
  words.dir = "auto";
  item.append(element("span", "hidden", speaker === "bot" ? "Answer: " : "You: "), words);
  log.append(item);
  empty.hidden = true;
  if (follow) log.scrollTop = log.scrollHeight;
  return item;
}

function showReply(reply) {
  if (reply.position <= position) return;
  position = reply.position;
  show("bot", reply.text);
}

// What is going on.

function clearStatus() {
  clearInterval(countdown);
  status.replaceChildren();
}

function gathering(messages, closesInMs) {
  clearStatus();
  const words = messages > 1 ? `Gathering your ${messages} messages…` : "Gathering your messages…";
  status.append(element("span", "", words));
  if (!closesInMs) return;
  const bar = element("progress");
  bar.max = closesInMs;
  bar.value = closesInMs;
  bar.setAttribute("aria-hidden", "true");
  status.append(bar);
  const end = performance.now() + closesInMs;
  countdown = setInterval(() => {
    bar.value = Math.max(0, end - performance.now());
    if (bar.value === 0) clearInterval(countdown);
  }, 100);
}

function answering() {
  clearStatus();
  const dots = element("span", "dots");
  dots.setAttribute("aria-hidden", "true");
  dots.append(element("i"), element("i"), element("i"));
  status.append(dots, element("span", "", "Writing an answer…"));
}

// The stream of events. The browser connects again by itself; where the server refused, we do.

function listen() {
  if (stream) return;
  clearTimeout(reconnect);
  stream = new EventSource(`/v1/conversations/me/events?after=${position}`);
  const on = (name, act) => stream.addEventListener(name, (event) => act(JSON.parse(event.data)));
  stream.onopen = () => { banner.hidden = true; };
  stream.onerror = () => {
    banner.hidden = false;
    clearStatus();
    if (stream.readyState !== EventSource.CLOSED) return;
    stream = null;
    reconnect = setTimeout(listen, 3000);
  };
  on("gathering", (told) => gathering(told.messages, told.closes_in_ms));
  on("answering", answering);
  on("reply", (reply) => {
    clearStatus();
    showReply(reply);
  });
  on("idle", clearStatus);
}

// Sending. A message keeps its id when it is sent again, so that it is stored once.

function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function mark(item, state, reason, retry) {
  item.classList.remove("sending", "stored", "failed");
  item.classList.add(state);
  item.querySelector("footer")?.remove();
  if (state !== "failed") return;
  const note = element("footer");
  const again = element("button", "", "Try again");
  again.type = "button";
  again.addEventListener("click", retry);
  note.append(element("span", "", reason), again);
  item.append(note);
}

async function post(id, text) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch("/v1/messages", { method: "POST", headers, body: JSON.stringify({ id, text }) });
  if (answer.ok) return;
  const problem = await answer.json().catch(() => ({}));
  throw new Error(problem.detail || `Not sent (${answer.status})`);
}

function store(item, id, text) {
  mark(item, "sending");
  sending = sending.then(async () => {
    try {
      await post(id, text);
      mark(item, "stored");
      if (!status.hasChildNodes()) gathering(1, 0);
      listen();
    } catch (error) {
      const reason = error instanceof TypeError ? "Not sent: no connection" : error.message;
      mark(item, "failed", reason, () => store(item, id, text));
    }
  });
}

function send() {
  const text = input.value;
  if (!text.trim()) return;
  const id = newId();
  known.add(id);
  store(show("customer", text), id, text);
  input.value = "";
  fit();
  input.focus();
}

function fit() {
  input.style.height = "auto";
  input.style.height = `${input.scrollHeight + 2}px`;
}

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
input.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
input.addEventListener("input", fit);

// What was said before.

async function load() {
  try {
    const answer = await fetch("/v1/conversations/me/messages?limit=200");
    if (!answer.ok) throw new Error(`history: ${answer.status}`);
    const { messages } = await answer.json();
    for (const message of messages) {
      if (message.speaker === "bot") showReply(message);
      else if (!known.has(message.id)) show("customer", message.text ?? "").classList.add("stored");
    }
    banner.hidden = true;
    empty.hidden = log.children.length > 0;
    if (messages.length > 0) listen();
  } catch {
    banner.hidden = false;
    setTimeout(load, 3000);
  }
}

load();
input.focus();
