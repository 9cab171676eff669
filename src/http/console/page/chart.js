// Lines of the last quarter of an hour.

import { html } from "./ui.js";

const WIDTH = 240;
const HEIGHT = 44;
const SPAN = 15 * 60_000;

/** Points are five seconds apart; further, there is a gap. */
const GAP = 15_000;

/** A value by its name, which may lead into what a point holds. @param {any} point @param {string} name */
const valueOf = (point, name) => name.split(".").reduce((held, part) => held?.[part], point);

/**
 * The path of a line; a gap where there is no value. Pure.
 * @param {{ at: number, value: number | null | undefined }[]} points @param {number} now @param {number} top
 */
export function line(points, now, top) {
  let path = "";
  let isDrawing = false;
  let before = 0;
  for (const { at, value } of points) {
    // Nothing is known of a time without points, as when the server was away.
    if (at - before > GAP) isDrawing = false;
    before = at;
    if (value === null || value === undefined) {
      isDrawing = false;
      continue;
    }
    const x = Math.max(0, WIDTH * (1 - (now - at) / SPAN));
    const y = HEIGHT - 2 - (HEIGHT - 6) * Math.min(1, top > 0 ? value / top : 0);
    // A point that stands alone is a dot.
    path += isDrawing ? `L${x.toFixed(1)} ${y.toFixed(1)}` : `M${x.toFixed(1)} ${y.toFixed(1)}h.01`;
    isDrawing = true;
  }
  return path;
}

/**
 * A line of the last quarter of an hour, with what it says in words for those who do not see it.
 * @param {{ points: any[], of: string[], now: number, name: string, show: (value: number) => string }} props
 */
export function Sparkline({ points, of, now, name, show }) {
  const values = of.map((key) => points.map((point) => ({ at: Date.parse(point.at), value: valueOf(point, key) })));
  const known = values.flat().map(({ value }) => value).filter((value) => value !== null && value !== undefined);
  const top = Math.max(...known, 0);
  const said = known.length ? `${name}, last 15 minutes: at the most ${show(top)}` : `${name}: nothing yet`;
  return html`<svg class="spark" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${said}>
    <title>${said}</title>
    <line class="base" x1="0" x2=${WIDTH} y1=${HEIGHT - 1} y2=${HEIGHT - 1} />
    ${values.map((points, index) => html`<path class=${`line line-${index}`} d=${line(points, now, top)} />`)}
  </svg>`;
}
