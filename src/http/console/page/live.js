// One stream for the tab: complete frames, at most two a second. It pauses while the tab is hidden or somebody asks for it, and begins
// anew with a fresh frame when it is seen again, when the connection was lost, and when the line is dead without saying so.

import { ask } from "./api.js";
import { useEffect, useState } from "./vendor/hooks.js";

/**
 * @typedef {{ number: number, at: string, state: string | null, warnings: any[], events: any[], past?: any[], series?: any[], points?: any[],
 *             figures?: any, counters?: any, tree?: any, place?: any, conversation?: any }} Frame
 * @typedef {{ query: string, frame: Frame | null, isLive: boolean, since: number }} Live
 */

/** How long a stream may be silent before it is given up, in milliseconds: frames come every half second. */
const SILENCE_MAX = 3000;

/** How long a stream that was refused, or was given up, waits for the next, in milliseconds. */
const RETRY = 2000;

/**
 * What the stream says, where `query` is what is shown.
 * @param {string} query
 * @param {boolean} isPaused
 * @param {(frame: Frame) => void} hear Told of every frame before it is drawn.
 * @returns {Live}
 */
export function useLive(query, isPaused, hear) {
  const [live, setLive] = useState(/** @type {Live} */ ({ query, frame: null, isLive: false, since: Date.now() }));
  useEffect(() => {
    /** @type {EventSource | null} */
    let stream = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const stale = () => setLive((now) => (now.isLive ? { ...now, isLive: false } : now));
    const close = () => {
      clearTimeout(timer);
      stream?.close();
      stream = null;
    };
    const again = () => {
      stale();
      close();
      timer = setTimeout(open, RETRY);
    };
    const open = () => {
      close();
      if (document.hidden || isPaused) return;
      timer = setTimeout(again, SILENCE_MAX + RETRY);
      stream = new EventSource(`/console/live?${query}`);
      stream.addEventListener("frame", (event) => {
        clearTimeout(timer);
        timer = setTimeout(again, SILENCE_MAX);
        const frame = JSON.parse(event.data);
        hear(frame);
        setLive({ query, frame, isLive: true, since: Date.now() });
      });
      stream.onerror = () => {
        const wasRefused = stream?.readyState === EventSource.CLOSED;
        again();
        // Whether somebody is signed in at all is told by any answer.
        if (wasRefused) ask("GET", "/v1/supervision/overview").catch(() => {});
      };
    };
    const seen = () => {
      if (document.hidden) {
        close();
        stale();
      } else open();
    };
    if (isPaused) stale();
    open();
    document.addEventListener("visibilitychange", seen);
    return () => {
      document.removeEventListener("visibilitychange", seen);
      close();
    };
  }, [query, isPaused]);
  // What another view showed is not this one's.
  return live.query === query ? live : { ...live, frame: null, isLive: false };
}
