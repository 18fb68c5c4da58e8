// How good the data are, by vendor, model, firmware or region, down to single devices.

import { ask, may, me } from "../api.js";
import { h, replace } from "../dom.js";
import { count, day, kind, number } from "../format.js";
import { note } from "../router.js";
import { t, word } from "../texts.js";
import { button, empty, field, filled, filterForm, heading, select, table } from "../ui.js";
import { bar, scoreOf } from "./device.js";

const DIMENSIONS = [
  "completeness",
  "accuracy",
  "consistency",
  "timeliness",
  "conformity",
  "traceability",
];

export async function show(host, at) {
  const body = h("div");
  const latest = at.query.get("until") ?? (await lastDay(at));
  const chosen = {
    by: at.query.get("by") ?? (me().vendor ? "firmware" : "vendor"),
    since: at.query.get("since") ?? latest,
    until: latest,
    region: at.query.get("region") ?? "",
    model: at.query.get("model") ?? "",
    firmware: at.query.get("firmware") ?? "",
  };
  const groups = [
    !me().vendor && "vendor",
    "model",
    "firmware",
    may("places") && "region",
    "device",
  ].filter(Boolean);
  const only = h("div", { class: "bulk" });
  const change = (name) => (value) => {
    chosen[name] = value;
    note(chosen);
    load();
  };
  const narrowed = () => {
    const { model, firmware } = chosen;
    replace(
      only,
      (model || firmware) && [
        h("span", null, [model, firmware].filter(Boolean).join(" · ")),
        button(
          t("flags.reset"),
          () => {
            Object.assign(chosen, { model: "", firmware: "" });
            narrowed();
            change("by")(chosen.by);
          },
          { kind: "quiet" },
        ),
      ],
    );
  };
  const date = (name) =>
    field(
      t(`filter.${name}`),
      h("input", {
        type: "date",
        value: chosen[name],
        required: true,
        onchange: (event) => event.target.value && change(name)(event.target.value),
      }),
    );
  const load = () =>
    filled(
      body,
      async () => {
        const { items } = await ask("quality", {
          query: { ...chosen, total: true, limit: 200 },
          signal: at.signal,
        });
        if (!items.length) return empty(t("quality.none"), t("quality.none-detail"));
        return scoresTable(items, chosen);
      },
      { lines: 8 },
    );
  replace(
    host,
    heading(t("nav.quality")),
    h("p", { class: "lead" }, t("quality.lead")),
    filterForm(
      select(
        t("quality.by"),
        chosen.by,
        groups.map((each) => [each, t(`quality.by-${each}`)]),
        change("by"),
      ),
      date("since"),
      date("until"),
    ),
    only,
    body,
  );
  narrowed();
  await load();
}

// Days are counted up to the last that has readings: a replayed month is not today.
export async function lastDay(at) {
  const { items } = await ask("devices", {
    query: { limit: 50, state: "reporting" },
    signal: at.signal,
  });
  const last = items.map((each) => each.last_measured_at ?? "").sort();
  const middle = last[Math.floor(last.length / 2)];
  return day(middle || new Date().toISOString());
}

// Groups as a table, the worst first; as many as are asked for.
export function scoresTable(items, chosen, most = items.length) {
  const sorted = items.toSorted((a, b) => (a.overall ?? 101) - (b.overall ?? 101));
  const { by, since, until } = chosen;
  const to = (page, query) => `/${page}?${new URLSearchParams(query)}`;
  const link = (row) => {
    const text = row[by];
    if (!text) return t(by === "firmware" ? "quality.no-firmware" : "quality.unknown");
    if (by === "device")
      return h("a", { href: `/devices/${encodeURIComponent(row.device)}` }, text);
    if (by === "vendor" || by === "region")
      return h("a", { href: to("devices", { [by]: text }) }, text);
    const which = by === "model" ? { model: text } : { model: row.model ?? "", firmware: text };
    return h("a", { href: to("quality", { by: "device", ...which, since, until }) }, text);
  };
  const name = (row) =>
    by === "firmware"
      ? [
          h("span", { class: "strong" }, row.model ?? t("quality.unknown")),
          h("div", { class: row.firmware ? "firmware" : "sub" }, link(row)),
        ]
      : [link(row), row.kind && h("div", { class: "sub" }, kind(row.kind))];
  return table(
    [
      {
        title: t(by === "firmware" ? "quality.model-firmware" : `quality.by-${by}`),
        class: "grow",
        cell: name,
      },
      {
        title: t("quality.score"),
        class: "num",
        cell: (row) => h("strong", null, scoreOf(row.overall)),
      },
      { title: "", class: "bar-cell", cell: (row) => bar(row.overall) },
      ...DIMENSIONS.map((name) => ({
        title: word("dimension", name),
        class: "num",
        cell: (row) => (row[name] === undefined ? "–" : `${number(row[name] * 100, 1)} %`),
      })),
      { title: t("nav.devices"), class: "num", cell: (row) => count(row.devices) },
      { title: t("column.readings"), class: "num", cell: (row) => count(row.readings) },
      { title: t("quality.refused"), class: "num", cell: (row) => count(row.quarantined) },
    ],
    sorted.slice(0, most),
    { caption: t("nav.quality") },
  );
}
