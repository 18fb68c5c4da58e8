// One device: plots of every quantity, its transactions, quality, certificate, parameters, flags.

import { ask, may } from "../api.js";
import { append, h, replace } from "../dom.js";
import { clock, count, day, kind, number, quantity, time, unit } from "../format.js";
import { linesOf, plot } from "../plot.js";
import { note } from "../router.js";
import { t, word } from "../texts.js";
import {
  card,
  crumbs,
  empty,
  facts,
  filled,
  flagFeed,
  json,
  listing,
  profileLink,
  skeleton,
  state,
  table,
} from "../ui.js";
import { balances } from "./balance.js";
import { named } from "./evidence.js";

const SPANS = {
  day: 86400e3,
  week: 7 * 86400e3,
  month: 31 * 86400e3,
  year: 366 * 86400e3,
  all: Infinity,
};
const BUSINESS = { fuel_dispenser: "transaction", taximeter: "trip", ev_charger: "session" };

export async function show(host, at, id) {
  const device = await ask(`devices/${encodeURIComponent(id)}`, { signal: at.signal });
  const plots = h("div");
  const business = h("div");
  const balance = h("div");
  const quality = h("div");
  const flags = h("div");
  const latest = h("div");
  // What stands below a balance appears when its height is known, so that nothing jumps.
  const heads = may("readings") && (device.members > 0 || device.tanks > 0);
  const below = h("div", { hidden: heads }, plots, business, latest);
  const story = h("div", { class: heads ? "story waits" : "story" });
  replace(quality, card(t("device.quality"), skeleton(4)));
  replace(
    host,
    crumbs("/devices", t("nav.devices")),
    h(
      "div",
      { class: "flag-head" },
      h(
        "div",
        { class: "flag-marks" },
        state(device.state),
        !device.registered && h("span", { class: "badge sev-major" }, t("device.unregistered")),
      ),
      h("h1", { tabindex: "-1" }, id),
      h(
        "p",
        { class: "lead" },
        [
          kind(device.kind),
          [device.vendor, device.model].filter(Boolean).join(" "),
          device.site,
          device.region,
        ]
          .filter(Boolean)
          .join(" · "),
      ),
    ),
    append(story, [
      // Who may not see readings has the quality of them in their place.
      h(
        "div",
        { class: "story-main" },
        may("readings") ? [balance, below] : [flags, may("quality") && quality],
      ),
      h(
        "div",
        { class: "story-side" },
        registered(device),
        may("readings") && [flags, may("quality") && quality],
        history(device),
      ),
    ]),
  );
  await Promise.all([
    heads &&
      balances(balance, `devices/${encodeURIComponent(id)}`, at, () => null).then(() => {
        below.hidden = false;
        story.classList.remove("waits");
      }),
    may("readings") && plotAll(plots, device, at),
    may("readings") && BUSINESS[device.kind] && businessTable(business, device, at),
    may("readings") && latestTable(latest, device, at),
    may("flags") && flagList(flags, device, at),
  ]);
  // A week of it takes as long as all the rest, which should not wait for it.
  if (may("quality")) await qualityCard(quality, device, at);
}

function registered(device) {
  const until = device.verified_until;
  const expired =
    until && device.last_measured_at && Date.parse(until) < Date.parse(device.last_measured_at);
  const certificates = device.certificates ?? [];
  return card(
    t("device.registered-as"),
    facts([
      [t("device.model"), [device.vendor, device.model].filter(Boolean).join(" ")],
      [t("device.serial"), device.serial_number],
      [t("device.owner"), device.owner],
      [
        t("device.site"),
        device.site && h("a", { href: `/sites/${encodeURIComponent(device.site)}` }, device.site),
      ],
      [
        t("device.parent"),
        device.parent &&
          h("a", { href: `/devices/${encodeURIComponent(device.parent)}` }, device.parent),
      ],
      [t("column.region"), device.region],
      [
        t("device.position"),
        device.longitude !== undefined &&
          `${number(device.latitude, 5)}°, ${number(device.longitude, 5)}°`,
      ],
      [
        t("device.commissioned"),
        device.commissioned_at && time(device.commissioned_at, { day: true }),
      ],
      [t("device.certificate"), device.certificate],
      [t("device.verified"), device.verified_at && time(device.verified_at, { day: true })],
      [
        t("device.verified-until"),
        until &&
          h(
            "span",
            { class: expired ? "bad-text" : "" },
            time(until, { day: true }),
            expired && ` ${t("device.expired")}`,
          ),
      ],
      [t("device.profile"), profileLink(device.profile)],
      [t("column.readings"), count(device.readings)],
      [t("device.first"), device.first_measured_at && time(device.first_measured_at)],
      [t("column.last"), device.last_measured_at && time(device.last_measured_at)],
    ]),
    certificates.length > 0 &&
      h(
        "details",
        null,
        h("summary", null, t("device.certificates", { count: certificates.length })),
        certificates.map((each) =>
          facts(
            Object.entries(each)
              .filter(([, v]) => typeof v !== "object")
              .map(([name, value]) => [word("column", name), String(value)]),
          ),
        ),
      ),
  );
}

async function plotAll(host, device, at) {
  const kinds = device.kinds ?? [];
  const body = h("div");
  const bar = h("div", { class: "tabs", role: "group", "aria-label": t("plot.span") });
  const last = Date.parse(device.last_measured_at ?? new Date().toISOString());
  const first = Date.parse(device.first_measured_at ?? device.last_measured_at ?? 0);
  const chosen = at.query.get("span") ?? "week";
  let undo = [];
  at.off(() => undo.forEach((each) => each()));
  replace(
    host,
    h(
      "section",
      { class: "card" },
      h("header", { class: "card-head" }, h("h2", null, t("device.plots")), bar),
      h("p", { class: "sub" }, t("plot.hint")),
      body,
    ),
  );
  if (!kinds.length) return replace(body, empty(t("device.no-readings")));
  const turn = (name) => {
    replace(
      bar,
      Object.keys(SPANS).map((each) =>
        h(
          "button",
          {
            type: "button",
            "data-span": each,
            "aria-pressed": String(each === name),
            onclick: () => (note({ span: each }), turn(each)),
          },
          t(`plot.${each}`),
        ),
      ),
    );
    return draw(Math.max(first, last - SPANS[name]), last + 1000, () => turn(name));
  };
  async function draw(since, until, back) {
    await filled(
      body,
      async () => {
        const told = await ask(`devices/${encodeURIComponent(device.device_id)}/series`, {
          query: {
            since: new Date(since).toISOString(),
            until: new Date(until).toISOString(),
            points: 700,
          },
          signal: at.signal,
        });
        const names = [...new Set(told.series.map((each) => each.quantity))];
        if (!names.length) return empty(t("flag.no-readings"));
        undo.forEach((each) => each());
        undo = [];
        const grid = h("div", { class: "plots" });
        for (const name of names) {
          const lines = linesOf(told, name);
          const frame = h(
            "div",
            { class: "plot-cell" },
            h(
              "h3",
              null,
              quantity(name),
              h("span", { class: "sub" }, ` ${unit(lines[0].unit)}`),
              lines.length > 1 && legend(lines),
            ),
          );
          grid.append(frame);
          requestAnimationFrame(() =>
            undo.push(
              plot(frame, lines, {
                height: 150,
                sync: "device",
                extent: [since, until],
                label: t("plot.label", {
                  name: quantity(name),
                  from: clock(since),
                  to: clock(until),
                }),
                zoomed: (a, b) => (a === undefined ? back() : draw(a, b, back)),
              }),
            ),
          );
        }
        return [
          h(
            "p",
            { class: "sub" },
            `${clock(since, false)} – ${clock(until, false)} · ${t("plot.bucket", { count: count(told.bucket_s) })}`,
          ),
          grid,
        ];
      },
      { lines: 1, tall: true },
    );
  }
  await turn(SPANS[chosen] ? chosen : "week");
}

const legend = (lines) =>
  h(
    "span",
    { class: "plot-legend" },
    lines.map((line, place) => h("span", { class: `line-${(place % 6) + 1}` }, line.label || "–")),
  );

const SHOWN = {
  transaction: [
    "channel",
    "volume_l",
    "unit_price_cny_per_l",
    "amount_cny",
    "product",
    "totaliser_volume_l",
  ],
  trip: ["distance_km", "waiting_time_s", "fare_cny", "surcharge_cny", "tariff", "gps_distance_km"],
  session: ["channel", "energy_kwh", "energy_amount_cny", "service_fee_cny", "amount_cny"],
};

async function businessTable(host, device, at) {
  const event = BUSINESS[device.kind];
  const list = listing(
    (cursor) =>
      ask(`devices/${encodeURIComponent(device.device_id)}/readings`, {
        query: { event, limit: 20, cursor },
        signal: at.signal,
      }),
    (items) => table(columnsOf(items, event), items, { caption: t(`business.${event}`) }),
    { none: () => empty(t("device.no-business")) },
  );
  replace(host, card(t(`business.${event}`), list.node));
  await list.load();
}

function columnsOf(items, event) {
  const present = new Set(items.flatMap(Object.keys));
  const wanted = SHOWN[event]
    .map((key) =>
      [...present].find(
        (each) => each === key || each.replaceAll("_per_", "_") === key.replaceAll("_per_", "_"),
      ),
    )
    .filter(Boolean);
  return [
    { title: t("column.ended"), class: "when", cell: (r) => time(r.measured_at) },
    ...wanted.map((key) => ({
      title: named(key),
      class: typeof items.find((each) => each[key] !== undefined)?.[key] === "number" ? "num" : "",
      cell: (r) => (typeof r[key] === "number" ? number(r[key]) : (r[key] ?? "–")),
    })),
    { title: t("column.quality"), cell: (r) => word("quality", r.quality) },
    may("evidence") && {
      title: t("column.offset"),
      class: "num",
      cell: (r) => h("a", { href: `/ingest/${r.ledger_offset}` }, count(r.ledger_offset)),
    },
  ].filter(Boolean);
}

async function latestTable(host, device, at) {
  const list = listing(
    (cursor) =>
      ask(`devices/${encodeURIComponent(device.device_id)}/readings`, {
        query: { limit: 12, cursor },
        signal: at.signal,
      }),
    (items) =>
      table(
        [
          { title: t("column.measured"), class: "when", cell: (r) => time(r.measured_at) },
          { title: t("column.event"), class: "narrow", cell: (r) => word("event", r.event) },
          { title: t("column.channel"), class: "narrow", cell: (r) => r.channel ?? "–" },
          {
            title: t("column.values"),
            class: "grow",
            cell: (r) => h("span", { class: "values" }, valuesOf(r)),
          },
          may("evidence") && {
            title: t("column.offset"),
            class: "num",
            cell: (r) => h("a", { href: `/ingest/${r.ledger_offset}` }, count(r.ledger_offset)),
          },
        ].filter(Boolean),
        items,
        { caption: t("device.latest") },
      ),
    { none: () => empty(t("device.no-readings")) },
  );
  replace(host, card(t("device.latest"), list.node));
  await list.load();
}

const META = new Set([
  "device_id",
  "kind",
  "event",
  "channel",
  "measured_at",
  "received_at",
  "sequence",
  "quality",
  "profile",
  "ledger_offset",
  "currency",
]);
const valuesOf = (reading) =>
  Object.entries(reading)
    .filter(([name]) => !META.has(name))
    .map(([name, value]) =>
      h(
        "span",
        null,
        h("i", null, named(name)),
        ` ${typeof value === "number" ? number(value) : typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value) ? clock(value) : String(value)}`,
      ),
    );

async function flagList(host, device, at) {
  const body = h("div");
  replace(host, card(t("nav.flags"), body));
  await filled(
    body,
    async () => {
      const { items } = await ask("flags", {
        query: { device_id: device.device_id, limit: 8 },
        signal: at.signal,
      });
      if (!items.length) return h("p", { class: "sub" }, t("device.no-flags"));
      return [
        flagFeed(items, { ofOne: true }),
        h(
          "p",
          null,
          h(
            "a",
            { href: `/flags?status=all&device_id=${encodeURIComponent(device.device_id)}` },
            t("device.all-flags", { count: count(device.flags) }),
          ),
        ),
      ];
    },
    { lines: 4 },
  );
}

async function qualityCard(host, device, at) {
  const body = h("div");
  replace(host, card(t("device.quality"), body));
  if (!device.last_measured_at)
    return replace(body, h("p", { class: "sub" }, t("device.no-readings")));
  await filled(
    body,
    async () => {
      const until = day(device.last_measured_at);
      const since = day(Date.parse(device.last_measured_at) - 6 * 86400e3);
      const { items } = await ask("quality", {
        query: { by: "device", device_id: device.device_id, since, until },
        signal: at.signal,
      });
      if (!items.length) return h("p", { class: "sub" }, t("quality.none"));
      return qualityByDay(items);
    },
    { lines: 4 },
  );
}

function qualityByDay(items) {
  const columns = [
    { title: t("column.date"), cell: (each) => each.date ?? "" },
    { title: t("quality.score"), class: "num", cell: (each) => scoreOf(each.overall) },
    { title: "", class: "bar-cell", cell: (each) => bar(each.overall) },
  ];
  return table(columns, items, { caption: t("device.quality") });
}

// Scores go from 0 to 100.
export const scoreOf = (value) => (value === undefined || value === null ? "–" : number(value, 1));
export const bar = (value) =>
  h(
    "span",
    { class: "bar" },
    h("span", {
      class: `fill ${value < 90 ? "sev-major" : "good-fill"}`,
      style: { width: `${Math.max(0, Math.min(100, value ?? 0))}%` },
    }),
  );

const LONG = 60;

function told(value) {
  const text = JSON.stringify(value);
  if (text.length < LONG) return h("code", { class: "wrap" }, text);
  return h("details", null, h("summary", null, t("stage.show")), json(value));
}

function history(device) {
  const versions = (device.versions ?? []).toReversed();
  if (!versions.length) return null;
  const before = (place) => versions[place + 1] ?? {};
  const different = (place) =>
    Object.entries(versions[place]).filter(
      ([name, value]) =>
        !["device_id", "valid_from"].includes(name) &&
        JSON.stringify(before(place)[name]) !== JSON.stringify(value),
    );
  const shown = (value) =>
    typeof value === "object"
      ? told(value)
      : /^\d{4}-\d\d-\d\dT/.test(value)
        ? time(value, { day: true })
        : String(value);
  return card(
    t("device.history"),
    versions[0].parameters && [
      h("h3", null, t("device.parameters")),
      facts(
        Object.entries(versions[0].parameters).map(([name, value]) => [
          word("quantity", name),
          shown(value),
        ]),
      ),
    ],
    versions.length > 1 &&
      h(
        "ol",
        { class: "history" },
        versions
          .slice(0, -1)
          .map((version, place) =>
            h(
              "li",
              null,
              h(
                "span",
                { class: "strong" },
                version.valid_from ? time(version.valid_from) : t("device.from-the-start"),
              ),
              facts(different(place).map(([name, value]) => [word("column", name), shown(value)])),
            ),
          ),
      ),
    versions.length === 1 && h("p", { class: "sub" }, t("device.one-version")),
  );
}
