// The first page of a vendor: how its own models do, by firmware, and what could not be read of them.

import { ask, may, me } from "../api.js";
import { h, replace } from "../dom.js";
import { count, kind, number, title } from "../format.js";
import * as live from "../live.js";
import { t, word } from "../texts.js";
import { card, empty, filled, heading, stack, table } from "../ui.js";
import { codesView, newestView } from "./overview.js";
import { scoreOf } from "./device.js";
import { lastDay, scoresTable } from "./quality.js";

const NEWEST = 6;
const AGAIN_MS = 30_000;
const SHOWN = 12;
const NAMED = 3;
const PROFILES = 6;
const STATES = ["reporting", "silent", "never"];

export async function show(host, at) {
  const parts = Object.fromEntries(
    ["tiles", "firmware", "models", "refused", "codes", "newest", "profiles"].map((each) => [
      each,
      h("div"),
    ]),
  );
  const linked = (key, to, label, body, more = "") =>
    h(
      "section",
      { class: `card ${more}` },
      h("header", { class: "card-head" }, h("h2", null, t(key)), h("a", { href: to }, t(label))),
      body,
    );
  replace(
    host,
    heading(me().vendor),
    h("p", { class: "lead" }, t("vendor.lead")),
    parts.tiles,
    linked("vendor.firmware", "/quality?by=firmware", "vendor.all-quality", parts.firmware),
    h(
      "div",
      { class: "halves" },
      h(
        "div",
        null,
        linked("vendor.models", "/devices", "vendor.all-devices", parts.models),
        linked("vendor.refused", "/quarantine", "vendor.all-refused", parts.refused),
        linked("vendor.profiles", "/profiles", "vendor.all-profiles", parts.profiles),
      ),
      h(
        "div",
        null,
        may("flags") && card(t("overview.codes"), parts.codes),
        may("flags") && linked("overview.newest", "/flags", "overview.all-flags", parts.newest),
      ),
    ),
  );
  const tiles = tilesIn(parts.tiles);
  const { signal } = at;
  const load = (quiet) =>
    Promise.all([
      filled(
        parts.models,
        async () => {
          const told = await ask("overview", { signal });
          tiles.overview(told);
          if (told.flags) replace(parts.codes, codesView(told));
          return modelsView(told.devices.models);
        },
        { lines: 4, quiet },
      ),
      may("flags") &&
        filled(
          parts.newest,
          async () => {
            const until = new Date().toISOString();
            return newestView(
              (await ask("flags", { query: { limit: NEWEST, until }, signal })).items,
            );
          },
          { lines: 5, quiet },
        ),
      filled(
        parts.refused,
        async () => {
          const { items } = await ask("quarantine/counts", { signal });
          tiles.refused(items);
          return refusedView(items);
        },
        { lines: 4, quiet },
      ),
    ]);
  const quality = () =>
    filled(
      parts.firmware,
      async () => {
        const day = await lastDay(at);
        const query = { since: day, until: day, total: true, limit: 200 };
        const [whole, rows] = await Promise.all([
          ask("quality", { query: { ...query, by: "vendor" }, signal }),
          ask("quality", { query: { ...query, by: "firmware" }, signal }),
        ]);
        tiles.quality(whole.items[0], day);
        if (!rows.items.length) return empty(t("quality.none"), t("quality.none-detail"));
        // The worst first; all of it is behind the link.
        return scoresTable(rows.items, { by: "firmware", since: day, until: day }, SHOWN);
      },
      { lines: 6 },
    );
  const profiles = () =>
    filled(parts.profiles, async () => profilesView((await ask("profiles", { signal })).items), {
      lines: 3,
    });
  const again = setInterval(() => !document.hidden && load(true), AGAIN_MS);
  at.off(() => clearInterval(again));
  let soon = null;
  at.off(() => clearTimeout(soon));
  at.off(
    live.on("flag", () => {
      // A burst of flags is one look, not many.
      soon ??= setTimeout(() => {
        soon = null;
        load(true);
      }, 1500);
    }),
  );
  await Promise.all([load(false), quality(), profiles()]);
}

function tilesIn(host) {
  const made = {};
  const tile = (name, href) => {
    made[name] = {
      value: h("strong", { class: "tile-value" }, "–"),
      note: h("span", { class: "tile-note" }, " "),
      extra: h("div", { class: "tile-extra" }),
    };
    const { value, note, extra } = made[name];
    const label = h("span", { class: "tile-name" }, t(`tile.${name}`));
    return h("a", { class: "tile", href }, label, value, note, extra);
  };
  replace(
    host,
    h(
      "div",
      { class: "tiles" },
      tile("devices", "/devices"),
      tile("quality", "/quality"),
      tile("standing", "/flags"),
      tile("refused", "/quarantine"),
    ),
  );
  const put = (name, value, note, extra) => {
    replace(made[name].value, value);
    replace(made[name].note, note);
    replace(made[name].extra, extra);
  };
  return {
    overview(told) {
      const sum = Object.fromEntries(STATES.map((each) => [each, 0]));
      for (const states of Object.values(told.devices.kinds))
        for (const name of STATES) sum[name] += states[name];
      const all = sum.reporting + sum.silent + sum.never;
      put(
        "devices",
        count(sum.reporting),
        t("tile.of-devices", {
          all: count(all),
          silent: count(sum.silent),
          never: count(sum.never),
        }),
        stack(STATES.map((each) => [each, sum[each], word("state", each)])),
      );
      const open = (told.flags?.codes ?? []).filter((each) => each.condition === "open");
      const flags = open.reduce((total, each) => total + each.flags, 0);
      const codes = new Set(open.map((each) => each.code)).size;
      put("standing", count(flags), t("tile.of-codes", { count: count(codes) }));
    },
    quality(row, day) {
      put("quality", row ? scoreOf(row.overall) : "–", t("tile.of-day", { day }));
    },
    refused(items) {
      const messages = items.reduce((total, each) => total + each.messages, 0);
      const reasons = new Set(items.map((each) => each.reason)).size;
      const note = reasons > 0 && t("tile.of-reasons", { count: count(reasons) });
      put("refused", count(messages), note);
    },
  };
}

function modelsView(models) {
  if (!models.length) return empty(t("devices.none"), t("vendor.no-devices"));
  const to = (each, state) =>
    `/devices?${new URLSearchParams({ kind: each.kind, model: each.model ?? "", ...(state && { state }) })}`;
  const shown = table(
    [
      {
        title: t("device.model"),
        class: "grow",
        cell: (each) => [
          each.model
            ? h("a", { class: "strong", href: to(each) }, each.model)
            : t("vendor.no-model"),
          h("div", { class: "sub" }, kind(each.kind)),
        ],
      },
      {
        title: "",
        class: "bar-cell desk",
        cell: (each) => stack(STATES.map((name) => [name, each[name], word("state", name)])),
      },
      ...STATES.map((name) => ({
        title: word("state", name),
        class: "num",
        cell: (each) =>
          each.model ? h("a", { href: to(each, name) }, count(each[name])) : count(each[name]),
      })),
    ],
    models.slice(0, SHOWN),
    { caption: t("vendor.models") },
  );
  const left = models.length - SHOWN;
  return left > 0
    ? [shown, h("p", { class: "sub" }, t("vendor.more-models", { count: count(left) }))]
    : shown;
}

function refusedView(items) {
  if (!items.length) return empty(t("quarantine.none"), t("quarantine.none-detail"));
  const reasons = new Map();
  for (const each of items) {
    const known = reasons.get(each.reason) ?? { reason: each.reason, messages: 0, profiles: [] };
    known.messages += each.messages;
    known.profiles.push(each.profile ?? word("stage-name", each.stage));
    reasons.set(each.reason, known);
  }
  const rows = [...reasons.values()].sort((a, b) => b.messages - a.messages);
  return table(
    [
      {
        title: t("column.reason"),
        class: "grow",
        cell: ({ reason, profiles }) => [
          h(
            "a",
            { class: "strong", href: `/quarantine?${new URLSearchParams({ reason })}` },
            word("reason", reason),
          ),
          h(
            "div",
            { class: "sub wrap" },
            profiles.slice(0, NAMED).join(", ") + (profiles.length > NAMED ? " …" : ""),
          ),
        ],
      },
      { title: t("column.messages"), class: "num", cell: (each) => count(each.messages) },
    ],
    rows,
    { caption: t("vendor.refused") },
  );
}

function profilesView(items) {
  if (!items.length)
    return empty(t("vendor.no-profiles"), t("vendor.no-profiles-detail", { vendor: me().vendor }));
  return h(
    "ul",
    { class: "plain-list" },
    items
      .slice(0, PROFILES)
      .map((each) =>
        h(
          "li",
          null,
          h(
            "a",
            { class: "strong", href: `/profiles/${encodeURIComponent(each.name)}` },
            title(each.title, each.name),
          ),
          h("span", { class: "sub line" }, `${kind(each.kind)} · ${each.protocol}`),
        ),
      ),
    items.length > PROFILES && h("li", null, t("profiles.count", { count: number(items.length) })),
  );
}
