// What the server is asked. Refusals are errors that say what the server said.

/** Somebody is not signed in any more. */
export const SIGNED_OUT = "tertulia-signed-out";

export class Refusal extends Error {
  /** @param {number} status @param {string} code @param {string} detail */
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/**
 * Asks the server, and gives what it answers.
 * @param {string} method @param {string} path @param {unknown} [body] @param {Record<string, string>} [headers] @returns {Promise<any>}
 */
export async function ask(method, path, body, headers = {}) {
  /** @type {RequestInit} */
  const request = { method, headers: { accept: "application/json", ...headers } };
  if (body !== undefined) {
    request.headers = { ...request.headers, "content-type": "application/json" };
    request.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, request);
  } catch {
    throw new Error("The server cannot be reached.");
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const problem = await answer.json().catch(() => ({}));
  if (answer.status === 401 && path !== "/console/session") dispatchEvent(new Event(SIGNED_OUT));
  throw new Refusal(answer.status, problem.code ?? "", problem.detail ?? `The server answered ${answer.status}.`);
}

/** @param {string} path */
export const get = (path) => ask("GET", path);

/** @param {string} path @param {unknown} [body] */
export const post = (path, body) => ask("POST", path, body);
