// Numbers, times and sizes, as people read them. Pure.

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** A count. @param {number | null | undefined} value */
export function count(value) {
  return value === null || value === undefined ? "–" : NUMBER.format(value);
}

/** How much a second. @param {number | null | undefined} value */
export function rate(value) {
  if (value === null || value === undefined) return "–";
  return value >= 100 || value === 0 ? NUMBER.format(value) : value.toFixed(value >= 10 ? 1 : 2);
}

/** Milliseconds, in the unit that fits. @param {number | null | undefined} ms */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms === 0) return "0";
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.round(ms / 60_000)} min`;
}

/** Bytes. @param {number | null | undefined} bytes */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  if (bytes < 1 << 20) return `${Math.round(bytes / 1024)} KiB`;
  if (bytes < 1 << 30) return `${(bytes / (1 << 20)).toFixed(bytes < 100 << 20 ? 1 : 0)} MiB`;
  return `${(bytes / (1 << 30)).toFixed(1)} GiB`;
}

/** How long ago something is. @param {number} ms */
export function ago(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 2) return "just now";
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} days ago`;
}

/** A time of day. @param {Date} moment */
export function clock(moment) {
  return CLOCK.format(moment);
}

/** A fraction, such as a confidence. @param {number} value */
export function fraction(value) {
  return Number.isInteger(value) ? NUMBER.format(value) : value.toFixed(Math.abs(value) < 1 ? 3 : 2);
}

/** How much time is left. @param {number} ms */
export function left(ms) {
  if (ms <= 0) return "now";
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.ceil(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** The moment, in full. @param {Date} moment */
export function full(moment) {
  return FULL.format(moment);
}

/** The name of a cause, a state, …, in words. @param {string} name */
export function words(name) {
  return name.replaceAll("_", " ");
}
