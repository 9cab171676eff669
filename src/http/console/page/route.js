// Where we are: the address holds all of it, so that every view can be linked.

import { useEffect, useState } from "./vendor/hooks.js";

const BASE = "/console/";

/** @typedef {{ view: string, rest: string, query: URLSearchParams }} Route */

/** A part of a path; as it stands where it is no text. @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** @param {Location | URL} location @returns {Route} */
export function read(location) {
  const [view, ...rest] = location.pathname.slice(BASE.length).split("/").map(decoded);
  return { view: view || "overview", rest: rest.join("/"), query: new URLSearchParams(location.search) };
}

/** An address. @param {string} view @param {string} [rest] @param {Record<string, string | undefined>} [query] */
export function to(view, rest = "", query = {}) {
  const some = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const search = new URLSearchParams(/** @type {[string, string][]} */ (some)).toString();
  const path = rest ? `${view}/${rest.split("/").map(encodeURIComponent).join("/")}` : view;
  return `${BASE}${path}${search ? `?${search}` : ""}`;
}

/** Goes to an address; `replaces` where it is the same view in another state. @param {string} address @param {boolean} [replaces] */
export function go(address, replaces = false) {
  if (replaces) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  dispatchEvent(new PopStateEvent("popstate"));
  if (!replaces) scrollTo(0, 0);
}

/** The same view with other parameters. @param {Route} route @param {Record<string, string | undefined>} changes */
export function change(route, changes) {
  go(to(route.view, route.rest, { ...Object.fromEntries(route.query), ...changes }), true);
}

/** Where we are, as it changes. @returns {Route} */
export function useRoute() {
  const [route, setRoute] = useState(() => read(location));
  useEffect(() => {
    const moved = () => setRoute(read(location));
    addEventListener("popstate", moved);
    return () => removeEventListener("popstate", moved);
  }, []);
  return route;
}
