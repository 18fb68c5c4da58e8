// Is my district alive, what is wrong today against the usual, and is the gateway itself well.

import { ask, may } from "../api.js";
import { h, replace } from "../dom.js";
import { bytes, clock, count, kind, number, short, span, title } from "../format.js";
import * as live from "../live.js";
import { mapView } from "../map.js";
import { t, word } from "../texts.js";
import { badge, card, empty, filled, heading, spark, stack, table } from "../ui.js";
import { brief } from "./flags.js";

const SEVERITIES = ["critical", "major", "minor", "info"];
const NEWEST = 7;
const AGAIN_MS = 20_000;

export async function show(host, at) {
  const tiles = h("div", { class: "tiles" });
  const kinds = h("div");
  const map = h("div");
  const severities = h("div");
  const codes = h("div");
  const newest = h("div");
  replace(
    host,
    heading(t("nav.overview")),
    tiles,
    h(
      "div",
      { class: "overview" },
      may("places") &&
        h(
          "section",
          { class: "card card-map" },
          h("header", { class: "card-head" }, h("h2", null, t("overview.map"))),
          map,
        ),
      may("flags") &&
        h(
          "section",
          { class: "card card-new" },
          h(
            "header",
            { class: "card-head" },
            h("h2", null, t("overview.newest")),
            h("a", { href: "/flags" }, t("overview.all-flags")),
          ),
          newest,
        ),
      may("flags") && card(t("overview.severity"), severities),
      card(t("overview.kinds"), kinds),
      may("flags") &&
        h(
          "section",
          { class: "card card-codes" },
          h("header", { class: "card-head" }, h("h2", null, t("overview.codes"))),
          codes,
        ),
    ),
  );
  const drawTiles = gauges(tiles, at);
  let arrived = [];
  // In the order they came; before that, those that began last, but not those of a clock that is
  // ahead, which would stand on top for days.
  async function latest() {
    const until = new Date().toISOString();
    const { items } = await ask("flags", { query: { limit: NEWEST, until }, signal: at.signal });
    const known = new Set(arrived.map((each) => each.id));
    return [...arrived, ...items.filter((each) => !known.has(each.id))].slice(0, NEWEST);
  }
  const load = (quiet) =>
    Promise.all([
      filled(
        kinds,
        async () => {
          const told = await ask("overview", { signal: at.signal });
          drawTiles(told);
          if (told.flags) {
            replace(severities, severityView(told.flags));
            replace(codes, codesView(told));
          }
          return kindsView(told.devices.kinds);
        },
        { lines: 4, quiet },
      ),
      may("flags") && filled(newest, async () => newestView(await latest()), { lines: 6, quiet }),
    ]);
  const again = setInterval(() => !document.hidden && load(true), AGAIN_MS);
  at.off(() => clearInterval(again));
  let soon = null;
  at.off(
    live.on("flag", (flag) => {
      arrived = [flag, ...arrived.filter((each) => each.id !== flag.id)].slice(0, NEWEST);
      // A burst of flags is one look, not many.
      soon ??= setTimeout(() => {
        soon = null;
        load(true);
      }, 1500);
    }),
  );
  await Promise.all([load(false), may("places") && mapView(map, at)]);
}

function gauges(host, at) {
  const made = {};
  const tile = (name, href) => {
    const value = h("strong", { class: "tile-value" }, "–");
    const note = h("span", { class: "tile-note" }, " ");
    const extra = h("div", { class: "tile-extra" });
    made[name] = { value, note, extra, node: null };
    made[name].node = h(
      href ? "a" : "div",
      { class: "tile", href },
      h("span", { class: "tile-name" }, t(`tile.${name}`)),
      value,
      note,
      extra,
    );
    return made[name].node;
  };
  const ingest = may("ingest");
  replace(
    host,
    ingest && tile("rate", "/ingest"),
    tile("devices", "/devices"),
    may("flags") && tile("today", "/flags"),
    ingest && [tile("lag", "/ingest"), tile("ledger", "/ingest"), tile("sinks", "/ingest")],
  );
  function status(told) {
    const rate = live.rates.at(-1);
    replace(made.rate.value, rate === undefined ? "–" : number(rate, rate < 10 ? 1 : 0));
    replace(made.rate.note, t("tile.received", { count: short(told.messages.received) }));
    replace(made.rate.extra, spark(live.rates));
    replace(made.lag.value, span2(told.processing.lag_s));
    replace(made.lag.note, t("tile.pending", { count: count(told.messages.pending) }));
    made.lag.node.dataset.mood =
      told.processing.state !== "running" ? "bad" : told.processing.lag_s > 60 ? "warn" : "good";
    replace(made.ledger.value, word("ledger", told.ledger.state));
    replace(
      made.ledger.note,
      `${bytes(told.ledger.bytes)} · ${told.balance === "ok" ? t("tile.balanced") : told.balance}`,
    );
    made.ledger.node.dataset.mood =
      told.balance === "ok" && told.ledger.state !== "ledger_full" ? "good" : "bad";
    const links = told.sources.filter((each) => each.connected).length;
    const lost = told.sinks.filter((each) => each.error).length;
    replace(made.sinks.value, `${links}/${told.sources.length}`);
    replace(
      made.sinks.note,
      told.sinks.length
        ? t("tile.sinks-note", { good: told.sinks.length - lost, all: told.sinks.length })
        : t("tile.no-sinks"),
    );
    made.sinks.node.dataset.mood = links === told.sources.length && !lost ? "good" : "bad";
  }
  if (ingest) {
    at.off(live.on("status", status));
    if (live.lastStatus) status(live.lastStatus);
    else
      ask("ingest", { signal: at.signal }).then(
        (told) => live.take(told),
        () => {},
      );
  }
  return (told) => {
    const sum = { reporting: 0, silent: 0, never: 0 };
    for (const states of Object.values(told.devices.kinds))
      for (const name of Object.keys(sum)) sum[name] += states[name];
    const all = sum.reporting + sum.silent + sum.never;
    replace(made.devices.value, count(sum.reporting));
    replace(
      made.devices.note,
      t("tile.of-devices", { all: count(all), silent: count(sum.silent), never: count(sum.never) }),
    );
    replace(
      made.devices.extra,
      stack(Object.entries(sum).map(([name, value]) => [name, value, word("state", name)])),
    );
    if (told.flags && made.today) {
      const { today, usual } = byDay(told, () => true);
      replace(made.today.value, count(today));
      replace(made.today.note, t("tile.usual", { usual: number(usual, 1) }));
      replace(made.today.extra, spark(perDay(told)));
    }
  };
}

const span2 = (seconds) =>
  seconds < 10 ? t("time.seconds", { count: number(seconds, 1) }) : span(seconds * 1000);

// The day that the instruments are at: clocks that are ahead do not make it tomorrow, and of a
// replayed month it is that month's last.
const dayOf = (told) => (told.devices.measured_until ?? new Date().toISOString()).slice(0, 10);

function perDay(told) {
  const sums = new Map();
  for (const each of told.flags.days) sums.set(each.date, (sums.get(each.date) ?? 0) + each.flags);
  const last = Date.parse(dayOf(told));
  return Array.from(
    { length: 30 },
    (_, place) => sums.get(new Date(last - (29 - place) * 86400e3).toISOString().slice(0, 10)) ?? 0,
  );
}

// Today, against the mean of the days before.
function byDay(told, takes) {
  const { days } = told.flags;
  const last = dayOf(told);
  const first = days.reduce((least, each) => (each.date < least ? each.date : least), last);
  const before = Math.max(1, Math.round((Date.parse(last) - Date.parse(first)) / 86400e3));
  let today = 0;
  let earlier = 0;
  for (const each of days) {
    if (!takes(each) || each.date > last) continue;
    if (each.date === last) today += each.flags;
    else earlier += each.flags;
  }
  return { today, usual: earlier / before };
}

function severityView(flags) {
  const standing = Object.fromEntries(SEVERITIES.map((each) => [each, 0]));
  for (const each of flags.codes)
    if (each.condition === "open") standing[each.severity] += each.flags;
  const most = Math.max(1, ...Object.values(standing));
  return h(
    "ul",
    { class: "bars" },
    SEVERITIES.map((each) =>
      h(
        "li",
        null,
        h(
          "a",
          { href: `/flags?severity=${each}&status=todo` },
          badge(each),
          h(
            "span",
            { class: "bar" },
            h("span", {
              class: `fill sev-${each}`,
              style: { width: `${(100 * standing[each]) / most}%` },
            }),
          ),
          h("strong", { class: "num" }, count(standing[each])),
        ),
      ),
    ),
  );
}

export function codesView(told) {
  const { flags } = told;
  const sums = new Map();
  for (const each of flags.codes) {
    const known = sums.get(each.code) ?? {
      code: each.code,
      title: each.title,
      severity: each.severity,
      flags: 0,
      open: 0,
    };
    if (SEVERITIES.indexOf(each.severity) < SEVERITIES.indexOf(known.severity))
      known.severity = each.severity;
    known.flags += each.flags;
    if (each.condition === "open") known.open += each.flags;
    sums.set(each.code, known);
  }
  const rows = [...sums.values()].map((each) => ({
    ...each,
    ...byDay(told, (day) => day.code === each.code),
  }));
  rows.sort((a, b) => b.today - a.today || b.flags - a.flags);
  if (!rows.length) return empty(t("flags.none"));
  const columns = [
    { title: t("column.severity"), class: "narrow", cell: (each) => badge(each.severity) },
    {
      title: t("column.what"),
      class: "grow",
      cell: (each) =>
        h("a", { href: `/flags?code=${each.code}&status=all` }, title(each.title, each.code)),
    },
    {
      title: t("overview.today"),
      class: "num",
      cell: (each) => h("strong", null, count(each.today)),
    },
    { title: t("overview.usual"), class: "num", cell: (each) => number(each.usual, 1) },
    { title: t("overview.change"), class: "num", cell: (each) => change(each) },
    { title: t("overview.standing"), class: "num", cell: (each) => count(each.open) },
  ];
  return table(columns, rows.slice(0, 12), { caption: t("overview.codes") });
}

function change({ today, usual }) {
  if (usual < 0.05) return h("span", { class: "sub" }, today ? t("overview.new") : "–");
  const times = today / usual;
  const mood = times > 1.5 ? "bad-text" : times < 0.67 ? "good-text" : "sub";
  return h("span", { class: mood }, `×${number(times, 1)}`);
}

function kindsView(kinds) {
  const rows = Object.entries(kinds);
  if (!rows.length) return empty(t("devices.none"), t("devices.none-detail"));
  const columns = [
    {
      title: t("column.kind"),
      class: "grow",
      cell: ([name]) => h("a", { href: `/devices?kind=${name}` }, kind(name)),
    },
    {
      title: "",
      class: "bar-cell",
      cell: ([, states]) =>
        stack(Object.entries(states).map(([name, value]) => [name, value, word("state", name)])),
    },
    ...["reporting", "silent", "never"].map((name) => ({
      title: word("state", name),
      class: "num",
      cell: ([which, states]) =>
        h("a", { href: `/devices?kind=${which}&state=${name}` }, count(states[name])),
    })),
  ];
  return table(columns, rows, { caption: t("overview.kinds") });
}

export function newestView(items) {
  if (!items.length) return empty(t("flags.none"));
  return h(
    "ul",
    { class: "feed" },
    items.map((flag) =>
      h(
        "li",
        null,
        badge(flag.severity),
        h(
          "div",
          null,
          h(
            "a",
            { class: "strong", href: `/flags/${encodeURIComponent(flag.id)}` },
            title(flag.title, flag.code),
          ),
          h("div", { class: "sub" }, `${flag.device_id} · ${brief(flag)}`),
        ),
        h("time", { class: "sub", datetime: flag.from }, clock(flag.from, false).slice(5)),
      ),
    ),
  );
}
