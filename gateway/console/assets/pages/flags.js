// The inbox of flags: filters in the address, many at once, and the keyboard alone.

import { ask, may, me, vocabulary } from "../api.js";
import { h, replace } from "../dom.js";
import { ago, count, kind, time, title, withUnit } from "../format.js";
import * as live from "../live.js";
import { go, note } from "../router.js";
import { t, word } from "../texts.js";
import {
  badge,
  button,
  dialog,
  empty,
  field,
  filterForm,
  heading,
  listing,
  search,
  select,
  status,
  table,
  toast,
} from "../ui.js";
import { show as showFlag } from "./flag.js";

const FILTERS = [
  "severity",
  "code",
  "kind",
  "status",
  "region",
  "device_id",
  "site",
  "vendor",
  "since",
  "until",
];
const STATUS_SETS = { todo: ["open", "ended", "acknowledged"], all: [] };
const BULK = ["acknowledge", "confirm", "dismiss", "close", "reopen"];

export async function show(host, at) {
  if (at.rest.length) return showFlag(host, at, at.rest[0]);
  return showInbox(host, at);
}

async function showInbox(host, at) {
  const known = await vocabulary();
  const chosen = Object.fromEntries(FILTERS.map((name) => [name, at.query.get(name) ?? ""]));
  chosen.status ||= "todo";
  const picked = new Set();
  let focus = -1;
  const fresh = h("div", { class: "fresh", "aria-live": "polite" });
  const bulk = h("div", { class: "bulk" });
  const list = listing(
    (cursor) =>
      ask("flags", { query: { ...queryOf(chosen), cursor, limit: 50 }, signal: at.signal }),
    (items) => rowsOf(items, picked, drawBulk),
    {
      none: () =>
        empty(
          t("flags.none"),
          t("flags.none-detail"),
          button(t("flags.reset"), () => go("/flags?status=all")),
        ),
    },
  );
  const change = (name) => (value) => {
    chosen[name] = value;
    note(chosen);
    picked.clear();
    drawBulk();
    focus = -1;
    list.load();
  };
  replace(
    host,
    heading(
      t("nav.flags"),
      h(
        "button",
        { type: "button", class: "button", onclick: showKeys },
        t("keys.title"),
        h("kbd", { "aria-hidden": "true" }, "?"),
      ),
    ),
    filterBar(known, chosen, change),
    fresh,
    bulk,
    list.node,
  );
  const waiting = new Map();
  at.off(live.on("flag", (flag) => arrived(flag)));
  at.off(live.on("reset", () => list.load(true)));

  function arrived(flag) {
    const items = list.items();
    const place = items.findIndex((each) => each.id === flag.id);
    if (place >= 0) {
      list.update(items.with(place, flag));
      drawFocus();
      return;
    }
    if (!fits(flag, chosen)) return;
    waiting.set(flag.id, flag);
    replace(
      fresh,
      button(
        t("flags.fresh", { count: count(waiting.size) }),
        () => {
          waiting.clear();
          replace(fresh);
          list.load(true);
        },
        { kind: "fresh-button" },
      ),
    );
  }

  function drawBulk() {
    if (!picked.size || !may("decide")) return replace(bulk);
    return replace(
      bulk,
      h("span", { role: "status" }, t("flags.picked", { count: count(picked.size) })),
      BULK.map((action) =>
        button(t(`do.${action}`), () => decideMany(action), {
          kind: action === "acknowledge" ? "primary" : "",
        }),
      ),
      button(
        t("flags.unpick"),
        () => {
          picked.clear();
          list.redraw();
          drawBulk();
        },
        { kind: "quiet" },
      ),
    );
  }

  async function decideMany(action) {
    const flags = [...picked];
    const reason = await reasonFor(action, known, flags.length);
    if (reason === null) return;
    try {
      const made = await ask("flags/events", {
        body: { flags, action, reason: reason || null, skip_refused: true },
      });
      toast(
        t("flags.decided", { count: made.decided.length, refused: made.refused.length }),
        made.refused.length ? "warn" : "good",
      );
      picked.clear();
      drawBulk();
      list.load(true);
    } catch (problem) {
      toast(problem.message, "bad");
    }
  }

  function drawFocus() {
    const rows = [...host.querySelectorAll("tbody tr")];
    rows.forEach((row, place) => row.classList.toggle("focused", place === focus));
    rows[focus]?.scrollIntoView({ block: "nearest" });
  }

  function keyed(event) {
    if (
      event.target.closest("input, select, textarea, dialog") ||
      event.ctrlKey ||
      event.metaKey ||
      event.altKey
    )
      return;
    const items = list.items();
    const flag = items[focus];
    const keys = {
      j: () => (focus = Math.min(focus + 1, items.length - 1)),
      k: () => (focus = Math.max(focus - 1, 0)),
      o: () => flag && go(`/flags/${encodeURIComponent(flag.id)}`),
      x: () => {
        if (!flag) return;
        if (!picked.delete(flag.id)) picked.add(flag.id);
        list.redraw();
        drawBulk();
      },
      a: () => picked.size && may("decide") && decideMany("acknowledge"),
      "/": () => host.querySelector(".filters select, .filters input")?.focus(),
      "?": showKeys,
    };
    keys.Enter = event.target.closest("a, button") ? null : keys.o;
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
    drawFocus();
  }
  addEventListener("keydown", keyed);
  at.off(() => removeEventListener("keydown", keyed));
  await list.load();
}

function queryOf(chosen) {
  const query = { ...chosen };
  query.status = STATUS_SETS[chosen.status] ?? [chosen.status];
  return query;
}

function fits(flag, chosen) {
  const statuses = STATUS_SETS[chosen.status] ?? [chosen.status];
  return (
    ["severity", "code", "kind", "device_id", "site"].every(
      (name) => !chosen[name] || chosen[name] === flag[name],
    ) &&
    (!statuses.length || statuses.includes(flag.status)) &&
    (!chosen.region || (flag.region ?? "").startsWith(chosen.region))
  );
}

function filterBar(known, chosen, change) {
  const severities = ["critical", "major", "minor", "info"];
  const codes = Object.entries(known.codes).sort(([a], [b]) => a.localeCompare(b));
  const any = ["", t("filter.any")];
  const statuses = [
    ["todo", t("filter.todo")],
    ["all", t("filter.all")],
    ...known.statuses.map((each) => [each, word("status", each)]),
  ];
  const more = ["site", "vendor", "since", "until"].some((name) => chosen[name]);
  const date = (name) =>
    field(
      t(`filter.${name}`),
      h("input", {
        type: "date",
        value: chosen[name],
        onchange: (event) => change(name)(event.target.value),
      }),
    );
  return filterForm(
    select(t("filter.status"), chosen.status, statuses, change("status")),
    select(
      t("filter.severity"),
      chosen.severity,
      [any, ...severities.map((each) => [each, word("severity", each)])],
      change("severity"),
    ),
    select(
      t("filter.code"),
      chosen.code,
      [any, ...codes.map(([code, told]) => [code, title(told.title, code)])],
      change("code"),
    ),
    select(
      t("filter.kind"),
      chosen.kind,
      [any, ...Object.keys(known.kinds).map((each) => [each, kind(each)])],
      change("kind"),
    ),
    search(t("filter.device"), chosen.device_id, change("device_id")),
    may("places") && search(t("filter.region"), chosen.region, change("region")),
    h(
      "details",
      { class: "more-filters", open: more },
      h("summary", null, t("filter.more")),
      h(
        "div",
        { class: "filters" },
        may("places") && search(t("filter.site"), chosen.site, change("site")),
        !me().vendor && search(t("filter.vendor"), chosen.vendor, change("vendor")),
        date("since"),
        date("until"),
      ),
    ),
  );
}

function rowsOf(items, picked, drawBulk) {
  const pick = (flag) =>
    h("input", {
      type: "checkbox",
      "aria-label": t("flags.pick", { id: flag.id }),
      checked: picked.has(flag.id),
      onchange: (event) => {
        if (event.target.checked) picked.add(flag.id);
        else picked.delete(flag.id);
        drawBulk();
      },
    });
  const columns = [
    may("decide") && { title: "", class: "pick", cell: pick },
    { title: t("column.severity"), class: "narrow", cell: (f) => badge(f.severity) },
    {
      title: t("column.what"),
      class: "grow",
      cell: (f) => [
        h(
          "a",
          { class: "strong", href: `/flags/${encodeURIComponent(f.id)}` },
          title(f.title, f.code),
        ),
        h("div", { class: "sub" }, brief(f)),
      ],
    },
    {
      title: t("column.device"),
      cell: (f) => [
        h("a", { href: `/devices/${encodeURIComponent(f.device_id)}` }, f.device_id),
        h("div", { class: "sub" }, [kind(f.kind), f.site ?? f.region].filter(Boolean).join(" · ")),
      ],
    },
    {
      title: t("column.since"),
      class: "when",
      cell: (f) => [time(f.from), h("div", { class: "sub" }, ago(f.from))],
    },
    { title: t("column.status"), class: "narrow", cell: (f) => status(f.status) },
  ].filter(Boolean);
  return table(columns, items, {
    caption: t("nav.flags"),
    onopen: (flag) => go(`/flags/${encodeURIComponent(flag.id)}`),
  });
}

// Observed against expected, in a line.
export function brief(flag) {
  const { observed, expected, unit, quantity } = flag.evidence ?? {};
  const one = (value) => {
    if (value && typeof value === "object" && "low" in value) {
      return value.low === value.high
        ? withUnit(value.low, unit)
        : `${withUnit(value.low)}–${withUnit(value.high, unit)}`;
    }
    return typeof value === "number"
      ? withUnit(value, unit)
      : typeof value === "string"
        ? value
        : null;
  };
  const seen = one(observed);
  const right = one(expected);
  const name = quantity ? `${word("quantity", quantity)} ` : "";
  if (seen === null) return flag.code;
  return right === null
    ? `${name}${seen}`
    : t("flags.brief", { name, observed: seen, expected: right });
}

// Why, where a decision takes a reason; null when it was called off.
export function reasonFor(action, known, many = 1) {
  const needed = known.decisions[action].reason;
  if (!needed && many === 1) return Promise.resolve("");
  return new Promise((resolve) => {
    dialog(t(`do.${action}`), (close) => {
      const reason = h("textarea", { rows: 3, maxlength: "2000", required: needed });
      const end = (value) => {
        close();
        resolve(value);
      };
      return h(
        "form",
        {
          method: "dialog",
          onsubmit: (event) => {
            event.preventDefault();
            end(reason.value.trim());
          },
        },
        many > 1 && h("p", null, t("flags.many", { count: count(many) })),
        field(t(needed ? "flag.reason" : "flag.note"), reason),
        h(
          "div",
          { class: "buttons" },
          button(t("page.cancel"), () => end(null)),
          h("button", { type: "submit", class: "button primary" }, t(`do.${action}`)),
        ),
      );
    });
  });
}

function showKeys() {
  const keys = [
    ["j / k", "keys.move"],
    ["Enter, o", "keys.open"],
    ["x", "keys.pick"],
    ["a", "keys.acknowledge"],
    ["/", "keys.filter"],
    ["?", "keys.help"],
  ];
  dialog(t("keys.title"), (close) => [
    h(
      "dl",
      { class: "facts" },
      keys.map(([key, text]) =>
        h("div", null, h("dt", null, h("kbd", null, key)), h("dd", null, t(text))),
      ),
    ),
    h("div", { class: "buttons" }, button(t("page.close"), close, { kind: "primary" })),
  ]);
}
