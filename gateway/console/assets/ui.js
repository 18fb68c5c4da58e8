// Parts that every page is made of.

import { me } from "./api.js";
import { append, h, icon, replace, s } from "./dom.js";
import { clock, number, title } from "./format.js";
import { t, word } from "./texts.js";

export const badge = (severity) =>
  h("span", { class: `badge sev-${severity}` }, word("severity", severity));
export const status = (name) => h("span", { class: `chip st-${name}` }, word("status", name));
export const state = (name) => h("span", { class: `chip state-${name}` }, word("state", name));

export function card(title, ...children) {
  const head = title && h("header", { class: "card-head" }, h("h2", null, title));
  return h("section", { class: "card" }, head, children);
}

export function button(label, onclick, { kind = "", disabled, title, keys } = {}) {
  return h(
    "button",
    { type: "button", class: `button ${kind}`, onclick, disabled, title },
    label,
    keys && h("kbd", { "aria-hidden": "true" }, keys),
  );
}

export const skeleton = (lines = 3, tall = false) =>
  h(
    "div",
    { class: `skeleton ${tall ? "tall" : ""}`, role: "status", "aria-label": t("page.loading") },
    Array.from({ length: lines }, () => h("div", { class: "bone" })),
  );

export const empty = (title, detail, ...more) =>
  h(
    "div",
    { class: "empty" },
    h("p", { class: "empty-title" }, title),
    detail && h("p", null, detail),
    more,
  );

// `whole`: in place of a page, whose heading it then is.
export function failure(problem, retry, whole = false) {
  const known = ["denied", "not-found", "unavailable", "busy", "too-many-requests"];
  const key = known.includes(problem.kind)
    ? problem.kind
    : problem instanceof TypeError
      ? "offline"
      : "other";
  return h(
    "div",
    { class: "empty failure", role: "alert" },
    h(whole ? "h1" : "p", { class: "empty-title", tabindex: whole && "-1" }, t(`error.${key}`)),
    key === "other" && h("p", { class: "mono" }, problem.message),
    retry && button(t("page.retry"), retry),
  );
}

// Shows a skeleton, then what was asked for, or why it is not there.
export async function filled(host, work, { lines = 3, tall = false, quiet = false } = {}) {
  if (!quiet) replace(host, skeleton(lines, tall));
  try {
    const made = await work();
    replace(host, made);
  } catch (problem) {
    if (problem.name === "AbortError") return;
    if (!problem.status && !(problem instanceof TypeError)) console.error(problem);
    replace(
      host,
      failure(problem, () => filled(host, work, { lines, tall })),
    );
  }
}

export function table(columns, rows, { caption, onopen } = {}) {
  const head = h(
    "tr",
    null,
    columns.map((c) => h("th", { scope: "col", class: c.class }, c.title)),
  );
  const body = rows.map((row) => {
    const cells = columns.map((c) =>
      h("td", { class: c.class, "data-label": c.title }, c.cell(row)),
    );
    return h(
      "tr",
      onopen ? { class: "opens", onclick: (event) => opened(event, row, onopen) } : null,
      cells,
    );
  });
  return h(
    "div",
    { class: "table-wrap", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      null,
      h("caption", { class: "hidden" }, caption),
      h("thead", null, head),
      h("tbody", null, body),
    ),
  );
}

function opened(event, row, onopen) {
  if (!event.target.closest("a, button, input, label") && !getSelection().toString()) onopen(row);
}

export function facts(pairs) {
  const nothing = [undefined, null, false, ""];
  const shown = pairs.filter(([, value]) => !nothing.includes(value));
  return h(
    "dl",
    { class: "facts" },
    shown.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
  );
}

let counter = 0;
export function field(label, input, hint) {
  counter += 1;
  input.id = `field-${counter}`;
  return h(
    "div",
    { class: "field" },
    h("label", { for: input.id }, label),
    input,
    hint && h("p", { class: "hint" }, hint),
  );
}

export function select(label, value, choices, onchange) {
  const input = h(
    "select",
    { onchange: () => onchange(input.value) },
    choices.map(([key, text]) =>
      h("option", { value: key, selected: key === (value ?? "") }, text),
    ),
  );
  return field(label, input);
}

export function search(label, value, onchange) {
  let waiting;
  const input = h("input", {
    type: "search",
    value: value ?? "",
    autocomplete: "off",
    spellcheck: "false",
    oninput: () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => onchange(input.value.trim()), 250);
    },
  });
  return field(label, input);
}

// What narrows a list; nothing is sent.
export const filterForm = (...fields) =>
  h(
    "form",
    {
      class: "filters",
      role: "search",
      "aria-label": t("filter.label"),
      onsubmit: (event) => event.preventDefault(),
    },
    fields,
  );

export function dialog(title, build) {
  const box = h("dialog", { class: "dialog", "aria-labelledby": "dialog-title" });
  const close = () => {
    box.close();
    box.remove();
  };
  append(box, [h("h2", { id: "dialog-title" }, title), build(close)]);
  box.addEventListener("cancel", () => box.remove());
  document.body.append(box);
  box.showModal();
  return close;
}

export function toast(text, kind = "") {
  let host = document.querySelector(".toasts");
  if (!host) {
    host = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
    document.body.append(host);
  }
  const made = h("div", { class: `toast ${kind}` }, text);
  host.append(made);
  setTimeout(() => made.remove(), 5000);
}

export function spark(values, { width = 160, height = 36 } = {}) {
  const most = Math.max(1, ...values);
  const step = width / Math.max(1, values.length - 1);
  const points = values.map(
    (v, i) => `${(i * step).toFixed(1)},${(height - 2 - (v / most) * (height - 4)).toFixed(1)}`,
  );
  return s(
    "svg",
    {
      class: "spark",
      viewBox: `0 0 ${width} ${height}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    },
    points.length > 1 && s("polyline", { points: points.join(" ") }),
  );
}

// A bar of parts, each with its share of the whole.
export function stack(parts) {
  const total = parts.reduce((sum, [, value]) => sum + value, 0) || 1;
  return h(
    "div",
    {
      class: "stack",
      role: "img",
      "aria-label": parts
        .map(([name, value, label]) => `${label ?? name} ${number(value)}`)
        .join(", "),
    },
    parts.map(
      ([name, value]) =>
        value > 0 &&
        h("span", { class: `part-${name}`, style: { width: `${(100 * value) / total}%` } }),
    ),
  );
}

export function heading(title, ...more) {
  return h(
    "div",
    { class: "page-head" },
    h("h1", { tabindex: "-1" }, title),
    h("div", { class: "page-tools" }, more),
  );
}

export function crumbs(to, label) {
  return h("a", { class: "crumb", href: to }, icon("back"), label);
}

// To the profile a message was read by. A vendor's device may be read by a profile of no vendor,
// which is not shown to it.
export const profileLink = (id) =>
  id &&
  (me().vendor ? id : h("a", { href: `/profiles/${encodeURIComponent(id.split("@")[0])}` }, id));

export function json(value) {
  return h("pre", { class: "code", tabindex: "0" }, JSON.stringify(value, null, 2));
}

// Flags, a line each; of one device its name goes without saying, and how far it is is said.
export const flagFeed = (items, { ofOne = false } = {}) =>
  h(
    "ul",
    { class: ofOne ? "feed" : "feed two" },
    items.map((each) =>
      h(
        "li",
        null,
        badge(each.severity),
        h(
          "div",
          null,
          h("a", { href: `/flags/${encodeURIComponent(each.id)}` }, title(each.title, each.code)),
          h("div", { class: "sub" }, !ofOne && `${each.device_id} · `, clock(each.from, false)),
        ),
        ofOne && status(each.status),
      ),
    ),
  );

// A list that goes on by cursor.
export function listing(load, render, { none }) {
  const body = h("div");
  const more = h("div", { class: "more" });
  let items = [];
  async function turn(cursor) {
    const page = await load(cursor);
    items = cursor ? items.concat(page.items) : page.items;
    replace(body, items.length ? render(items) : page.next_cursor ? null : none());
    replace(
      more,
      page.next_cursor &&
        button(t("page.more"), (event) => {
          event.target.disabled = true;
          turn(page.next_cursor).catch((problem) =>
            replace(
              more,
              failure(problem, () => turn(page.next_cursor)),
            ),
          );
        }),
    );
  }
  const node = h("div", null, body, more);
  return {
    node,
    items: () => items,
    redraw: () => items.length && replace(body, render(items)),
    update: (changed) => {
      items = changed;
      replace(body, items.length ? render(items) : none());
    },
    load: (quiet) =>
      filled(
        body,
        async () => {
          const page = await load();
          items = page.items;
          replace(
            more,
            page.next_cursor &&
              button(t("page.more"), () =>
                turn(page.next_cursor).catch((problem) => toast(problem.message, "bad")),
              ),
          );
          return items.length ? render(items) : none();
        },
        { lines: 8, quiet },
      ),
  };
}
