// Sites: stations and feeders with what stands there; of a station the levels of its tanks.

import { ask, may } from "../api.js";
import { h, replace } from "../dom.js";
import { clock, count, kind, quantity, title } from "../format.js";
import { linesOf, plot } from "../plot.js";
import { go } from "../router.js";
import { t } from "../texts.js";
import { badge, card, crumbs, empty, filled, heading, search, skeleton, table } from "../ui.js";
import { rowsOf } from "./devices.js";

const LEVELS = { tank_volume: 6, energy_import: 6, volume: 6 };
const OF_KIND = {
  fuel_dispenser: "tank_volume",
  electricity_meter: "energy_import",
  water_meter: "volume",
  gas_meter: "volume",
};
const PLOTTED = 4;
const SUMS = new Set([null, undefined, "", "total"]);

export async function show(host, at) {
  if (at.rest.length) return showSite(host, at, at.rest[0]);
  const body = h("div");
  replace(host, heading(t("nav.sites")), body);
  await filled(
    body,
    async () => {
      const { items } = await ask("sites", { signal: at.signal });
      if (!items.length) return empty(t("sites.none"), t("sites.none-detail"));
      const rows = h("div");
      const draw = (text) =>
        replace(
          rows,
          list(
            items.filter((each) =>
              `${each.site} ${each.region}`.toLowerCase().includes(text.toLowerCase()),
            ),
          ),
        );
      draw("");
      return [
        h(
          "form",
          { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
          search(t("filter.text"), "", draw),
        ),
        rows,
      ];
    },
    { lines: 8 },
  );
}

function list(items) {
  return table(
    [
      {
        title: t("filter.site"),
        class: "grow",
        cell: (each) =>
          h("a", { class: "strong", href: `/sites/${encodeURIComponent(each.site)}` }, each.site),
      },
      { title: t("column.region"), cell: (each) => each.region ?? "–" },
      {
        title: t("nav.devices"),
        class: "grow",
        cell: (each) =>
          Object.entries(each.kinds)
            .map(([name, value]) => `${kind(name)} ${count(value)}`)
            .join(" · "),
      },
      { title: t("sites.flags"), class: "num", cell: (each) => count(each.flags) },
    ],
    items.slice(0, 300),
    { caption: t("nav.sites"), onopen: (each) => go(`/sites/${encodeURIComponent(each.site)}`) },
  );
}

async function showSite(host, at, site) {
  const devices = h("div");
  const levels = h("div");
  const flags = h("div");
  replace(
    host,
    crumbs("/sites", t("nav.sites")),
    heading(site),
    may("readings") && card(t("sites.week"), levels),
    h(
      "div",
      { class: "story" },
      h("div", { class: "story-main" }, card(t("nav.devices"), devices)),
      h("div", { class: "story-side" }, may("flags") && card(t("nav.flags"), flags)),
    ),
  );
  replace(levels, skeleton(1, true));
  let items = [];
  await filled(
    devices,
    async () => {
      items = (await ask("devices", { query: { site, limit: 100 }, signal: at.signal })).items;
      return items.length ? rowsOf(items, { places: false }) : empty(t("devices.none"));
    },
    { lines: 5 },
  );
  await Promise.all([
    may("flags") &&
      filled(
        flags,
        async () => {
          const told = await ask("flags", { query: { site, limit: 12 }, signal: at.signal });
          if (!told.items.length) return h("p", { class: "sub" }, t("device.no-flags"));
          return h(
            "ul",
            { class: "feed two" },
            told.items.map((each) =>
              h(
                "li",
                null,
                badge(each.severity),
                h(
                  "div",
                  null,
                  h(
                    "a",
                    { href: `/flags/${encodeURIComponent(each.id)}` },
                    title(each.title, each.code),
                  ),
                  h("div", { class: "sub" }, `${each.device_id} · ${clock(each.from, false)}`),
                ),
              ),
            ),
          );
        },
        { lines: 5 },
      ),
    may("readings") && plotLevels(levels, items, at),
  ]);
}

// One plot a quantity with a line a device: of a station its tanks against what the nozzles sold.
async function plotLevels(host, items, at) {
  const first = (each) => (each.kind === "fuel_dispenser" ? 0 : 1);
  const chosen = items
    .filter((each) => each.readings && OF_KIND[each.kind])
    .sort((a, b) => first(a) - first(b))
    .slice(0, PLOTTED);
  if (!chosen.length) return replace(host, h("p", { class: "sub" }, t("device.no-readings")));
  const last = Math.max(...chosen.map((each) => Date.parse(each.last_measured_at)));
  const told = await Promise.all(
    chosen.map((each) =>
      ask(`devices/${encodeURIComponent(each.device_id)}/series`, {
        query: {
          quantity: OF_KIND[each.kind],
          since: new Date(last - 7 * 86400e3).toISOString(),
          until: new Date(last + 1000).toISOString(),
          points: 400,
        },
        signal: at.signal,
      }).catch(() => null),
    ),
  );
  const grid = h("div", { class: "plots wide-plots" });
  const undo = [];
  for (const [name, most] of Object.entries(LEVELS)) {
    const lines = told
      .flatMap((each) =>
        each
          ? linesOf(each, name)
              .filter(
                (line) =>
                  name === "tank_volume" ||
                  (each.kind !== "fuel_dispenser" && SUMS.has(line.channel)),
              )
              .map((line) => ({
                ...line,
                label: [each.device_id, line.channel].filter(Boolean).join(" "),
              }))
          : [],
      )
      .slice(0, most);
    if (!lines.length) continue;
    const cell = h(
      "div",
      { class: "plot-cell" },
      h("h3", null, quantity(name)),
      h(
        "div",
        { class: "plot-legend" },
        lines.map((line, place) => h("span", { class: `line-${place + 1}` }, line.label)),
      ),
    );
    grid.append(cell);
    requestAnimationFrame(() =>
      undo.push(plot(cell, lines, { height: 190, sync: "site", label: quantity(name) })),
    );
  }
  at.off(() => undo.forEach((each) => each()));
  return replace(
    host,
    grid.children.length ? grid : h("p", { class: "sub" }, t("flag.no-readings")),
  );
}
