// What happens now: one stream of events for the whole page.

import { address, may } from "./api.js";

const listeners = { flag: new Set(), status: new Set(), reset: new Set(), state: new Set() };
const SAMPLES = 90;
export const rates = [];
export let lastStatus = null;
let stream = null;
let again = null;
let connected = false;
let before = null;

export function on(name, told) {
  listeners[name].add(told);
  return () => listeners[name].delete(told);
}

const tell = (name, what) => listeners[name].forEach((each) => each(what));

function setConnected(now) {
  if (now === connected) return;
  connected = now;
  tell("state", now);
}

export const isConnected = () => connected;

export function begin() {
  end();
  if (!may("flags")) return;
  stream = new EventSource(address("live"));
  stream.onopen = () => setConnected(true);
  stream.addEventListener("flag", (event) => tell("flag", JSON.parse(event.data)));
  stream.addEventListener("reset", () => tell("reset"));
  stream.addEventListener("status", (event) => take(JSON.parse(event.data)));
  stream.onerror = () => {
    setConnected(false);
    // A browser gives up where the server says no; it may only be starting.
    if (stream?.readyState === EventSource.CLOSED) again = setTimeout(begin, 4000);
  };
}

export function end() {
  clearTimeout(again);
  stream?.close();
  stream = null;
  before = null;
  rates.length = 0;
  setConnected(false);
}

// Also from a single question, so that a page has figures before the first event.
export function take(status) {
  const at = Date.parse(status.at);
  if (before && at > before.at) {
    const rate = ((status.received - before.received) * 1000) / (at - before.at);
    if (rate >= 0) rates.push(rate);
    if (rates.length > SAMPLES) rates.shift();
  }
  if (!before || at > before.at) before = { at, received: status.received };
  lastStatus = status;
  tell("status", status);
}
