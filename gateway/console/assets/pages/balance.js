// Balances: tanks against what was sold from them, feeders against their meters; for a site or a device.

import { ask } from "../api.js";
import { h, replace } from "../dom.js";
import { clock, count, fixed, kind, number, quantity, title, unit } from "../format.js";
import { plot } from "../plot.js";
import { note } from "../router.js";
import { t, word } from "../texts.js";
import { badge, card, empty, filled, state, status, table } from "../ui.js";

const SPANS = [7, 31];
const device = (id) => h("a", { href: `/devices/${encodeURIComponent(id)}` }, id);
const litres = (value) => fixed(value, 0);
const signed = (value, digits) =>
  value === null || value === undefined
    ? "–"
    : `${Math.abs(value) < 10 ** -digits / 2 ? "±" : value > 0 ? "+" : "−"}${fixed(Math.abs(value), digits)}`;
const verdict = (name) =>
  h("span", { class: `chip balance-${name}` }, t(`balance.verdict-${name}`));
const wrong = (name) => !["balanced", "unknown"].includes(name);

/*
 * Shows the balances of `path` ("sites/NAME" or "devices/ID") in `host`.
 * without: what is shown where there are none, from the answer.
 */
export async function balances(host, path, at, without) {
  const wanted = Number(at.query.get("days"));
  let days = SPANS.includes(wanted) ? wanted : SPANS[0];
  let undo = [];
  at.off(() => undo.forEach((each) => each()));
  const draw = (told) => {
    undo.forEach((each) => each());
    undo = [];
    const later = (make) => requestAnimationFrame(() => undo.push(make()));
    const cards = [
      ...told.tanks.map((each) => tankCard(each, later)),
      ...told.feeders.map((each) => feederCard(each, later)),
    ];
    if (!cards.length && !told.left_out.length) return without(told, later);
    return [
      cards.length > 0 && bar(told),
      told.left_out.map((each) =>
        h(
          "p",
          { class: "note" },
          each.device_id && `${each.device_id}: `,
          t(`balance.out-${each.reason}`),
        ),
      ),
      cards,
    ];
  };
  const load = () =>
    filled(
      host,
      async () => draw(await ask(`${path}/balance`, { query: { days }, signal: at.signal })),
      { lines: 1, tall: true },
    );
  const bar = (told) =>
    h(
      "div",
      { class: "balance-head" },
      h(
        "div",
        { class: "tabs", role: "group", "aria-label": t("plot.span") },
        SPANS.map((each) =>
          h(
            "button",
            {
              type: "button",
              "aria-pressed": String(each === days),
              onclick: () => ((days = each), note({ days: each === SPANS[0] ? "" : each }), load()),
            },
            t("balance.days", { count: each }),
          ),
        ),
      ),
      h(
        "p",
        { class: "sub" },
        told.since &&
          `${clock(told.since, false)} – ${clock(told.until, false)} · ${t("balance.midnight", { time: clock(told.since, false).slice(11) })}`,
      ),
    );
  await load();
}

function figure(name, value, mood = "") {
  return h("div", { class: `figure ${mood}` }, h("span", null, name), h("strong", null, value));
}

function head(name, told, ...more) {
  return h(
    "header",
    { class: "card-head" },
    h("h2", null, name),
    h("span", { class: "marks" }, more, verdict(told.verdict)),
  );
}

const waiting = (told) =>
  told.waiting_for.length > 0 &&
  h(
    "p",
    { class: "sub" },
    t("balance.waiting"),
    told.waiting_for.slice(0, 5).map((each) => [" ", device(each)]),
    told.waiting_for.length > 5 && " …",
  );

function flagsOf(told) {
  if (!told.flags.length) return null;
  return h(
    "ul",
    { class: "feed balance-flags" },
    told.flags.map((each) =>
      h(
        "li",
        null,
        badge(each.severity),
        h(
          "div",
          null,
          h("a", { href: `/flags/${encodeURIComponent(each.id)}` }, title(each.title, each.code)),
          h(
            "div",
            { class: "sub" },
            `${clock(each.from, false)} – ${clock(each.to, false)} · ${t("balance.observed", {
              observed: signed(each.evidence.observed, 1),
              tolerance: number(each.evidence.tolerance, 1),
              unit: unit(each.evidence.unit),
            })}`,
          ),
        ),
        status(each.status),
      ),
    ),
  );
}

// Flags of the devices that say something else: small on the axis, by name below.
function beside(told) {
  if (!told.beside.length) return null;
  return details(
    t("balance.beside", { count: count(told.beside.length) }),
    h(
      "ul",
      { class: "feed" },
      told.beside.map((each) =>
        h(
          "li",
          null,
          badge(each.severity),
          h(
            "div",
            null,
            h("a", { href: `/flags/${encodeURIComponent(each.id)}` }, title(each.title, each.code)),
            h("div", { class: "sub" }, `${each.device_id} · ${clock(each.from, false)}`),
          ),
          status(each.status),
        ),
      ),
    ),
  );
}

const ticksOf = (told) => told.beside.map((each) => ({ at: each.from, severity: each.severity }));
const spansOf = (told) => told.flags.map((each) => ({ from: each.from, to: each.to }));
const cell = (name, detail, ...more) =>
  h(
    "div",
    { class: "plot-cell" },
    h("h3", null, name, detail && h("span", { class: "sub" }, ` ${detail}`), more),
  );

function tankCard(told, later) {
  const name = [t("balance.tank", { name: told.channel }), told.product && `${told.product}#`]
    .filter(Boolean)
    .join(" · ");
  const { line } = told;
  if (!line.at.length)
    return h(
      "section",
      { class: "card" },
      head(name, told, device(told.device_id)),
      empty(t("balance.no-stock"), t("balance.no-stock-detail")),
      waiting(told),
      nozzles(told),
    );
  const moments = told.deliveries.map((each) => ({
    at: each.to,
    label: `+${litres(each.volume)}`,
  }));
  const zero = line.at.map(() => 0);
  const difference = cell(t("balance.cumulative"), `${unit("L")} · ${t("balance.band")}`);
  const stock = cell(t("balance.stock"), unit("L"));
  later(() =>
    plot(
      difference,
      [
        { label: t("balance.difference"), unit: "L", at: line.at, ...flat(line.difference) },
        {
          label: t("balance.tolerance"),
          unit: "L",
          at: line.at,
          mean: zero,
          min: line.tolerance.map((each) => -each),
          max: line.tolerance,
          colour: "--good",
          dash: [4, 4],
          apart: true,
        },
      ],
      {
        height: 210,
        sync: `tank-${told.device_id}-${told.channel}`,
        marks: { spans: spansOf(told), moments, ticks: ticksOf(told) },
        label: t("balance.plot-tank", {
          name,
          difference: signed(told.difference, 1),
          tolerance: number(told.tolerance, 1),
        }),
      },
    ),
  );
  later(() =>
    plot(stock, [{ label: t("balance.stock"), unit: "L", at: line.at, ...flat(line.stock) }], {
      height: 210,
      sync: `tank-${told.device_id}-${told.channel}`,
      marks: { moments },
      label: `${name}: ${t("balance.stock")}`,
    }),
  );
  return h(
    "section",
    { class: "card" },
    head(name, told, device(told.device_id), state(told.state)),
    h(
      "div",
      { class: "figures" },
      figure(t("balance.opening"), `${litres(told.opening)} ${unit("L")}`),
      figure(t("balance.delivered"), `+${litres(told.delivered)} ${unit("L")}`),
      figure(t("balance.sold"), `−${litres(told.sold)} ${unit("L")}`),
      figure(t("balance.closing"), `${litres(told.closing)} ${unit("L")}`),
      figure(
        t("balance.difference"),
        `${signed(told.difference, 1)} ± ${fixed(told.tolerance, 1)} ${unit("L")}`,
        wrong(told.verdict) ? "bad" : "good",
      ),
    ),
    h("div", { class: "plots wide-plots" }, difference, stock),
    flagsOf(told),
    waiting(told),
    daysOfTank(told),
    nozzles(told),
    beside(told),
  );
}

const flat = (values) => ({ mean: values, min: values, max: values });
const deviation = (row, name, tolerance, digits) =>
  h(
    "span",
    { class: wrong(row.verdict) ? "bad-text strong" : "" },
    signed(row[name], digits),
    tolerance !== null && h("span", { class: "faint" }, ` ± ${fixed(tolerance, digits)}`),
  );

function daysOfTank(told) {
  const columns = [
    { title: t("column.date"), class: "when", cell: (row) => clock(row.from).slice(0, 10) },
    { title: t("balance.opening"), class: "num", cell: (row) => litres(row.opening) },
    {
      title: t("balance.delivered"),
      class: "num",
      cell: (row) => (row.delivered ? litres(row.delivered) : "–"),
    },
    { title: t("balance.sold"), class: "num", cell: (row) => litres(row.sold) },
    { title: t("balance.closing"), class: "num", cell: (row) => litres(row.closing) },
    {
      title: t("balance.difference"),
      class: "num",
      cell: (row) => deviation(row, "difference", row.tolerance, 1),
    },
    {
      title: t("balance.cumulative"),
      class: "num",
      cell: (row) => `${signed(row.cumulative, 1)} ± ${fixed(row.cumulative_tolerance, 1)}`,
    },
  ];
  return details(
    t("balance.by-day", { unit: t("balance.litres-20") }),
    table(columns, told.days.toReversed(), { caption: t("balance.days-of-tank") }),
  );
}

function nozzles(told) {
  const columns = [
    { title: t("balance.nozzle"), cell: (row) => row.nozzle },
    { title: t("balance.dispenser"), class: "grow", cell: (row) => device(row.device_id) },
    { title: t("balance.sales"), class: "num", cell: (row) => count(row.sales) },
    { title: t("balance.shown"), class: "num", cell: (row) => fixed(row.sold, 2) },
    { title: t("filter.state"), cell: (row) => state(row.state) },
  ];
  return details(
    t("balance.nozzles", { count: told.nozzles.length }),
    told.nozzles.length
      ? table(columns, told.nozzles, { caption: t("balance.dispenser") })
      : h("p", { class: "sub" }, t("balance.no-nozzles")),
  );
}

const details = (name, body) =>
  h("details", { class: "balance-more" }, h("summary", null, name), body);

// Of electricity a loss is a line loss; of water and gas it has other names.
const namedFor = (name) => (key) =>
  name === "electricity_meter" ? t(`balance.power-${key}`) : t(`balance.water-${key}`);

function feederCard(told, later) {
  const named = namedFor(told.kind);
  const name = `${named("feeder")} ${told.device_id}`;
  const members = h(
    "details",
    { class: "balance-more" },
    h("summary", null, t("balance.members", { count: count(told.members.length) })),
    h(
      "ul",
      { class: "plain-list members" },
      told.members.map((each) => h("li", null, device(each.device_id), state(each.state))),
    ),
  );
  if (!told.days.length)
    return h(
      "section",
      { class: "card" },
      head(name, told, kind(told.kind)),
      empty(t("balance.no-hours"), t("balance.no-hours-detail")),
      waiting(told),
      members,
    );
  const at = told.days.map((each) => new Date(Date.parse(each.from) + 43200e3).toISOString());
  const of = (key) => told.days.map((each) => each[key]);
  const amounts = cell(
    quantity(told.quantity),
    unit(told.unit),
    legend([named("supplied"), named("used")]),
  );
  const losses = cell(named("loss-percent"), told.judged ? `% · ${t("balance.band")}` : "%");
  const extent = [Date.parse(told.days[0].from), Date.parse(told.days.at(-1).from) + 86400e3];
  later(() =>
    plot(
      amounts,
      ["supplied", "used"].map((key) => ({
        label: named(key),
        unit: told.unit,
        at,
        ...flat(of(key)),
      })),
      { height: 210, extent, sync: `feeder-${told.device_id}`, label: name },
    ),
  );
  const loss = { label: named("loss-percent"), unit: "%", at, ...flat(of("loss_percent")) };
  const band = {
    label: t("balance.tolerance"),
    unit: "%",
    at,
    mean: of("expected_percent"),
    min: of("low_percent"),
    max: of("high_percent"),
    colour: "--good",
    dash: [4, 4],
    apart: true,
  };
  later(() =>
    plot(losses, told.judged ? [loss, band] : [loss], {
      height: 210,
      extent,
      sync: `feeder-${told.device_id}`,
      marks: { spans: spansOf(told), ticks: ticksOf(told) },
      label: t("balance.plot-feeder", { name, percent: number(told.loss_percent, 2) }),
    }),
  );
  return h(
    "section",
    { class: "card" },
    head(name, told, kind(told.kind), state(told.state)),
    h(
      "div",
      { class: "figures" },
      figure(named("supplied"), `${number(told.supplied, 1)} ${unit(told.unit)}`),
      figure(named("used"), `${number(told.used, 1)} ${unit(told.unit)}`),
      figure(
        named("loss"),
        `${number(told.loss, 1)} ${unit(told.unit)} · ${number(told.loss_percent, 2)} %`,
        told.verdict === "unknown" ? "" : wrong(told.verdict) ? "bad" : "good",
      ),
    ),
    !told.judged && h("p", { class: "sub" }, t("balance.not-judged")),
    h("div", { class: "plots wide-plots" }, amounts, losses),
    flagsOf(told),
    suspects(told),
    waiting(told),
    daysOfFeeder(told, named),
    members,
    beside(told),
  );
}

const legend = (names) =>
  h(
    "span",
    { class: "plot-legend" },
    names.map((each, place) => h("span", { class: `line-${place + 1}` }, each)),
  );

// Whom the unexplained loss follows, as the latest flag has it.
function suspects(told) {
  const latest = told.flags.find((each) => each.evidence.suspects);
  if (!latest) return null;
  const found = latest.evidence.suspects;
  return h(
    "div",
    { class: "suspects" },
    h("h3", null, t("balance.suspects")),
    found.length
      ? h(
          "ul",
          { class: "plain-list" },
          found.map((each) =>
            h(
              "li",
              null,
              device(each.device_id),
              h(
                "strong",
                null,
                t("balance.confidence", { percent: number(100 * each.confidence, 0) }),
              ),
              h(
                "span",
                { class: "sub" },
                t("balance.share", { percent: number(100 * each.share, 0) }),
              ),
            ),
          ),
        )
      : h("p", { class: "sub" }, t("balance.no-suspects")),
  );
}

function daysOfFeeder(told, named) {
  const amount = (key) => ({
    title: named(key),
    class: "num",
    cell: (row) => fixed(row[key], 2),
  });
  const columns = [
    { title: t("column.date"), class: "when", cell: (row) => clock(row.from).slice(0, 10) },
    amount("supplied"),
    amount("used"),
    amount("loss"),
    {
      title: named("loss-percent"),
      class: "num",
      cell: (row) =>
        h(
          "span",
          { class: wrong(row.verdict) ? "bad-text strong" : "" },
          `${fixed(row.loss_percent, 2)} %`,
        ),
    },
    told.judged && {
      title: t("balance.tolerance"),
      class: "num",
      cell: (row) =>
        row.low_percent === null
          ? "–"
          : `${fixed(row.low_percent, 2)} … ${fixed(row.high_percent, 2)} %`,
    },
    { title: t("balance.hours"), class: "num", cell: (row) => number(row.hours, 0) },
  ].filter(Boolean);
  return details(
    t("balance.by-day", { unit: unit(told.unit) }),
    table(columns, told.days.toReversed(), { caption: t("balance.days-of-feeder") }),
  );
}
