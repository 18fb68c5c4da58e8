// Sites: stations and feeders with what stands there, and their balances.

import { ask, may } from "../api.js";
import { h, replace } from "../dom.js";
import { count, kind, quantity, unit } from "../format.js";
import { plot } from "../plot.js";
import { go } from "../router.js";
import { t } from "../texts.js";
import {
  card,
  crumbs,
  empty,
  filled,
  filterForm,
  flagFeed,
  heading,
  search,
  table,
} from "../ui.js";
import { balances } from "./balance.js";
import { rowsOf } from "./devices.js";

const LEVEL = "tank_volume";
const MOST_LINES = 6;

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
      return [filterForm(search(t("filter.text"), "", draw)), rows];
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
      {
        title: t("sites.balance"),
        cell: (each) =>
          each.heads.map((name) => {
            // No check judges a district of water or gas.
            const judged = name !== "district";
            const off = judged && each.unbalanced;
            return h(
              "span",
              { class: `chip balance-${off ? "unbalanced" : judged ? "quiet" : "unknown"}` },
              [t(`sites.head-${name}`), judged && t(off ? "sites.unbalanced" : "sites.no-finding")]
                .filter(Boolean)
                .join(" · "),
            );
          }),
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
  const balance = h("div");
  const devices = h("div");
  const flags = h("div");
  // What stands below appears when it is known how high the balance is, so that nothing jumps.
  const below = h(
    "div",
    { class: "story", hidden: may("readings") },
    h("div", { class: "story-main" }, card(t("nav.devices"), devices)),
    h("div", { class: "story-side" }, may("flags") && card(t("nav.flags"), flags)),
  );
  replace(host, crumbs("/sites", t("nav.sites")), heading(site), may("readings") && balance, below);
  await Promise.all([
    may("readings") &&
      balances(balance, `sites/${encodeURIComponent(site)}`, at, (told, later) =>
        card(t("sites.week"), levels(told, later)),
      ).then(() => (below.hidden = false)),
    filled(
      devices,
      async () => {
        const { items } = await ask("devices", { query: { site, limit: 100 }, signal: at.signal });
        return items.length ? rowsOf(items, { places: false }) : empty(t("devices.none"));
      },
      { lines: 5 },
    ),
    may("flags") &&
      filled(
        flags,
        async () => {
          const told = await ask("flags", { query: { site, limit: 12 }, signal: at.signal });
          if (!told.items.length) return h("p", { class: "sub" }, t("device.no-flags"));
          return flagFeed(told.items);
        },
        { lines: 5 },
      ),
  ]);
}

// How registers of what heads no balance grew in the week, and how full tanks were that nobody is
// known to draw from: a plot a quantity, a line a device.
function levels(told, later) {
  const lines = (told.levels ?? []).slice(0, MOST_LINES).map((each) => {
    const begin = each.quantity === LEVEL ? 0 : each.min[0];
    const grown = (values) => values.map((value) => value - begin);
    return {
      ...each,
      label: [each.device_id, each.quantity === LEVEL && each.channel].filter(Boolean).join(" "),
      mean: grown(each.mean),
      min: grown(each.min),
      max: grown(each.max),
    };
  });
  if (!lines.length) return h("p", { class: "sub" }, t("device.no-readings"));
  const grid = h("div", { class: "plots wide-plots" });
  for (const name of new Set(lines.map((each) => each.quantity))) {
    const own = lines.filter((each) => each.quantity === name);
    const cell = h(
      "div",
      { class: "plot-cell" },
      h(
        "h3",
        null,
        quantity(name),
        h(
          "span",
          { class: "sub" },
          ` ${[unit(own[0].unit), name !== LEVEL && t("sites.grown")].filter(Boolean).join(" · ")}`,
        ),
      ),
      h(
        "div",
        { class: "plot-legend" },
        own.map((line, place) => h("span", { class: `line-${place + 1}` }, line.label)),
      ),
    );
    grid.append(cell);
    later(() => plot(cell, own, { height: 190, sync: "site", label: quantity(name) }));
  }
  return grid;
}
