// Who is signed in, and signing in.

import { useEffect, useState } from "./vendor/hooks.js";
import { ask, get, post, Refusal, SIGNED_OUT } from "./api.js";
import { Failed, html } from "./ui.js";

/** @typedef {{ name: string, role: "viewer" | "operator" | "admin" }} User */

/**
 * The token of a link that was printed at the first start. It stands behind the address's hash, which no browser sends, and is taken
 * out of it at once.
 */
function tokenOfLink() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) history.replaceState(null, "", location.pathname + location.search);
  return token;
}

/** How long to wait before it is asked again who is signed in, in milliseconds. */
const RETRY = 2000;

/**
 * Who is signed in: undefined while that is not known yet, and why not where a link did not do.
 * @returns {{ user: User | null | undefined, why: unknown, setUser: (user: User | null) => void }}
 */
export function useUser() {
  const [state, setState] = useState({ user: /** @type {User | null | undefined} */ (undefined), why: /** @type {unknown} */ (null) });
  const setUser = (/** @type {User | null} */ user) => setState({ user, why: null });
  useEffect(() => {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const look = () => get("/console/session").then(setUser, (why) => {
      // Only the server knows that nobody is signed in: one that is away is asked again.
      if (why instanceof Refusal && why.status === 401) return setUser(null);
      setState((now) => ({ ...now, why }));
      timer = setTimeout(look, RETRY);
    });
    const follow = () => {
      const token = tokenOfLink();
      if (token) post("/console/session", { token }).then(setUser, (why) => setState({ user: null, why }));
      return token !== null;
    };
    if (!follow()) look();
    const out = () => setUser(null);
    addEventListener(SIGNED_OUT, out);
    addEventListener("hashchange", follow);
    return () => {
      clearTimeout(timer);
      removeEventListener(SIGNED_OUT, out);
      removeEventListener("hashchange", follow);
    };
  }, []);
  return { ...state, setUser };
}

/** Ends the session; it has not ended where the server could not be told. */
export const signOut = () => ask("DELETE", "/console/session");

/** @param {{ setUser: (user: User) => void, why: unknown }} props */
export function SignIn({ setUser, why }) {
  const [error, setError] = useState(why);
  const [isBusy, setBusy] = useState(false);
  /** @param {Event} event */
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    const [name, password] = [String(form.get("name") ?? "").trim(), String(form.get("password") ?? "")];
    setBusy(true);
    setError(null);
    try {
      setUser(await post("/console/session", name ? { name, password } : { token: password.trim() }));
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return html`<main class="sign-in">
    <form onSubmit=${submit}>
      <span class="mark" aria-hidden="true"><i></i><i></i><i></i></span>
      <h1>Tertulia console</h1>
      <label>Name <small>(leave it empty to sign in with the console's token)</small>
        <input name="name" autocomplete="username" autocapitalize="none" spellcheck=${false} /></label>
      <label>Password or token
        <input name="password" type="password" autocomplete="current-password" required /></label>
      <${Failed} error=${error} />
      <button type="submit" class="primary" disabled=${isBusy}>Sign in</button>
      <p class="note">The token stands in <code>console.token</code> beside the database, and in the link that the server printed at its first start.</p>
    </form>
  </main>`;
}
