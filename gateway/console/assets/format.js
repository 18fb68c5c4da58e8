// Numbers, times and units as people read them.

import { h } from "./dom.js";
import { language, t, word } from "./texts.js";

const locale = language === "zh" ? "zh-CN" : "en-GB";
const two = (number) => String(number).padStart(2, "0");
const SIGNS = {
  Cel: "°C",
  m3: "m³",
  "m3/h": "m³/h",
  "kg/m3": "kg/m³",
  "kvar.h": "kvar·h",
  deg: "°",
  1: "",
  "CUR/L": "CNY/L",
  CUR: "CNY",
  "CUR/kWh": "CNY/kWh",
};

export const unit = (code) => (code === undefined || code === null ? "" : (SIGNS[code] ?? code));

export function number(value, digits = 6) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e12))
    return value.toExponential(3);
  const whole = Math.abs(value) >= 1e6 ? 2 : digits;
  return new Intl.NumberFormat(locale, { maximumFractionDigits: whole }).format(value);
}

// With so many digits behind the point, for columns of numbers.
export const fixed = (value, digits) =>
  value === null || value === undefined
    ? "–"
    : new Intl.NumberFormat(locale, {
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
      }).format(value);

export const count = (value) => new Intl.NumberFormat(locale).format(value ?? 0);

export function short(value) {
  return new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 }).format(
    value,
  );
}

export const withUnit = (value, code) => [number(value), unit(code)].filter(Boolean).join(" ");

export function bytes(size) {
  const steps = ["B", "kB", "MB", "GB", "TB"];
  let place = 0;
  while (size >= 1000 && place < steps.length - 1) {
    size /= 1000;
    place += 1;
  }
  return `${number(size, place ? 1 : 0)} ${steps[place]}`;
}

export function clock(at, seconds = true) {
  const d = new Date(at);
  const day = `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
  const time = `${two(d.getHours())}:${two(d.getMinutes())}${seconds ? `:${two(d.getSeconds())}` : ""}`;
  return `${day} ${time}`;
}

export const day = (at) => clock(at).slice(0, 10);

// The time in the reader's zone; the exact one, in UTC, is behind it.
export function time(at, options = {}) {
  if (!at) return h("span", { class: "faint" }, "–");
  const shown = options.day ? day(at) : clock(at, options.seconds ?? true);
  return h("time", { datetime: at, title: `${at} (UTC)` }, shown);
}

const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });
const STEPS = [
  [60, "second"],
  [60, "minute"],
  [24, "hour"],
  [30, "day"],
  [12, "month"],
  [Infinity, "year"],
];

export function ago(at) {
  let span = (Date.parse(at) - Date.now()) / 1000;
  for (const [size, name] of STEPS) {
    if (Math.abs(span) < size) return relative.format(Math.round(span), name);
    span /= size;
  }
  return "";
}

export function span(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 120) return t("time.seconds", { count: seconds });
  if (seconds < 7200) return t("time.minutes", { count: Math.round(seconds / 60) });
  if (seconds < 172800) return t("time.hours", { count: number(seconds / 3600, 1) });
  return t("time.days", { count: number(seconds / 86400, 1) });
}

export const kind = (name) => word("kind", name);
export const quantity = (name) => word("quantity", name);
export const title = (told, fallback) => told?.[language] ?? told?.en ?? fallback;
