// Devices: searched and listed; the page of one has everything that is known of it.

import { ask, may, me, vocabulary } from "../api.js";
import { h, replace } from "../dom.js";
import { count, kind, time } from "../format.js";
import { go, note } from "../router.js";
import { t, word } from "../texts.js";
import { empty, filterForm, heading, listing, search, select, state, table } from "../ui.js";
import { show as showDevice } from "./device.js";

const FILTERS = ["text", "kind", "state", "region", "vendor", "model", "site"];

export async function show(host, at) {
  if (at.rest.length) return showDevice(host, at, at.rest[0]);
  const known = await vocabulary();
  const chosen = Object.fromEntries(FILTERS.map((name) => [name, at.query.get(name) ?? ""]));
  const list = listing(
    (cursor) => ask("devices", { query: { ...chosen, cursor, limit: 50 }, signal: at.signal }),
    rowsOf,
    { none: () => empty(t("devices.none"), t("devices.none-detail")) },
  );
  const change = (name) => (value) => {
    chosen[name] = value;
    note(chosen);
    list.load();
  };
  const any = ["", t("filter.any")];
  replace(
    host,
    heading(t("nav.devices")),
    filterForm(
      search(t("filter.text"), chosen.text, change("text")),
      select(
        t("filter.kind"),
        chosen.kind,
        [any, ...Object.keys(known.kinds).map((each) => [each, kind(each)])],
        change("kind"),
      ),
      select(
        t("filter.state"),
        chosen.state,
        [any, ...["reporting", "silent", "never"].map((each) => [each, word("state", each)])],
        change("state"),
      ),
      may("places") && search(t("filter.region"), chosen.region, change("region")),
      !me().vendor && search(t("filter.vendor"), chosen.vendor, change("vendor")),
      search(t("filter.model"), chosen.model, change("model")),
      may("places") && search(t("filter.site"), chosen.site, change("site")),
    ),
    list.node,
  );
  await list.load();
}

export function rowsOf(items, { places = may("places") } = {}) {
  const columns = [
    {
      title: t("column.device"),
      class: "grow",
      cell: (d) => [
        h(
          "a",
          { class: "strong", href: `/devices/${encodeURIComponent(d.device_id)}` },
          d.device_id,
        ),
        h(
          "div",
          { class: "sub" },
          [d.vendor, d.model].filter(Boolean).join(" ") ||
            (d.registered ? "" : t("device.unregistered")),
        ),
      ],
    },
    { title: t("column.kind"), class: "narrow", cell: (d) => kind(d.kind) },
    places && {
      title: t("column.place"),
      cell: (d) => [d.site ?? "–", h("div", { class: "sub" }, d.region ?? "")],
    },
    { title: t("column.state"), class: "narrow", cell: (d) => state(d.state) },
    { title: t("column.last"), class: "when", cell: (d) => time(d.last_measured_at) },
    { title: t("column.readings"), class: "num", cell: (d) => count(d.readings) },
    {
      title: t("column.flags"),
      class: "num",
      cell: (d) =>
        d.flags
          ? h(
              "a",
              { href: `/flags?status=all&device_id=${encodeURIComponent(d.device_id)}` },
              count(d.flags),
            )
          : "0",
    },
  ].filter(Boolean);
  return table(columns, items, {
    caption: t("nav.devices"),
    onopen: (d) => go(`/devices/${encodeURIComponent(d.device_id)}`),
  });
}
