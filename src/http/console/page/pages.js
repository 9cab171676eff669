// Lists that come page by page, and answers that come once.

import { useEffect, useRef, useState } from "./vendor/hooks.js";

/**
 * Items page by page; those that are there stay until others come. `load` gets the last item that is there, or nothing at first.
 * @param {(last: any) => Promise<any[]>} load @param {number} size How many a full page has.
 * @param {string} key What the list is of: another key begins anew.
 * @returns {{ items: any[], error: unknown, more: (() => void) | null, isBusy: boolean, reload: () => void }}
 */
export function usePages(load, size, key) {
  const [state, setState] = useState({ key, items: /** @type {any[]} */ ([]), error: /** @type {unknown} */ (null), isBusy: true, isFull: false });
  const latest = useRef(0);
  /** @param {any[]} before */
  const fetchPage = async (before) => {
    latest.current += 1;
    const mine = latest.current;
    setState((now) => ({ ...now, key, isBusy: true, error: null }));
    /** @type {any} */
    let change;
    try {
      const page = await load(before.at(-1));
      change = { items: [...before, ...page], isFull: page.length >= size };
    } catch (error) {
      change = { error };
    }
    // What was asked for before counts no more.
    if (mine === latest.current) setState((now) => ({ ...now, ...change, isBusy: false }));
  };
  useEffect(() => {
    fetchPage([]);
    return () => {
      latest.current += 1;
    };
  }, [key]);
  const { items, error, isFull } = state;
  // What was found for another key says nothing of this one.
  const isBusy = state.isBusy || state.key !== key;
  return { items, error, isBusy, reload: () => fetchPage([]), more: isFull ? () => fetchPage(items) : null };
}

/**
 * What the server answers; asked anew when `key` changes, and nothing while it is null. What is there stays until the next answer.
 * @param {string | null} key @param {() => Promise<any>} load
 * @returns {{ found: any, error: unknown, isBusy: boolean }}
 */
export function useAnswer(key, load) {
  const [state, setState] = useState({ key: /** @type {string | null} */ (null), found: /** @type {any} */ (null), error: /** @type {unknown} */ (null) });
  useEffect(() => {
    if (key === null) return undefined;
    let isWanted = true;
    load().then(
      (found) => isWanted && setState({ key, found, error: null }),
      (error) => isWanted && setState({ key, found: null, error }),
    );
    return () => {
      isWanted = false;
    };
  }, [key]);
  if (key === null) return { found: null, error: null, isBusy: false };
  return { found: state.found, error: state.key === key ? state.error : null, isBusy: state.key !== key };
}
