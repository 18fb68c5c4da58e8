// How good the data are, by vendor, model or region, down to single devices.

import { ask, may } from "../api.js";
import { h, replace } from "../dom.js";
import { count, day, kind, number } from "../format.js";
import { note } from "../router.js";
import { t, word } from "../texts.js";
import { empty, field, filled, heading, select, table } from "../ui.js";
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
    by: at.query.get("by") ?? "vendor",
    since: at.query.get("since") ?? latest,
    until: latest,
    region: at.query.get("region") ?? "",
  };
  const groups = ["vendor", "model", may("places") && "region", "device"].filter(Boolean);
  const change = (name) => (value) => {
    chosen[name] = value;
    note(chosen);
    load();
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
        return view(items, chosen);
      },
      { lines: 8 },
    );
  replace(
    host,
    heading(t("nav.quality")),
    h("p", { class: "lead" }, t("quality.lead")),
    h(
      "form",
      {
        class: "filters",
        "aria-label": t("filter.label"),
        onsubmit: (event) => event.preventDefault(),
      },
      select(
        t("quality.by"),
        chosen.by,
        groups.map((each) => [each, t(`quality.by-${each}`)]),
        change("by"),
      ),
      date("since"),
      date("until"),
    ),
    body,
  );
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

function view(items, chosen) {
  const sorted = items.toSorted((a, b) => (a.overall ?? 101) - (b.overall ?? 101));
  const link = (row) => {
    const name = row[chosen.by] || t("quality.unknown");
    if (chosen.by === "device")
      return h("a", { href: `/devices/${encodeURIComponent(row.device)}` }, name);
    if (chosen.by === "vendor")
      return h("a", { href: `/devices?vendor=${encodeURIComponent(row.vendor ?? "")}` }, name);
    if (chosen.by === "region")
      return h("a", { href: `/devices?region=${encodeURIComponent(row.region ?? "")}` }, name);
    return name;
  };
  return table(
    [
      {
        title: t(`quality.by-${chosen.by}`),
        class: "grow",
        cell: (row) => [link(row), row.kind && h("div", { class: "sub" }, kind(row.kind))],
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
    ],
    sorted,
    { caption: t("nav.quality") },
  );
}
