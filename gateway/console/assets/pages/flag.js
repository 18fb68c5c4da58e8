// A flag's page tells the story on one screen: what, where, since when, by which evidence, and what was done.

import { ask, may, vocabulary } from "../api.js";
import { h, icon, replace, s } from "../dom.js";
import {
  ago,
  clock,
  kind,
  number,
  quantity,
  span,
  time,
  title,
  unit,
  withUnit,
} from "../format.js";
import * as live from "../live.js";
import { linesOf, plot } from "../plot.js";
import { language, t, word } from "../texts.js";
import {
  badge,
  button,
  card,
  crumbs,
  empty,
  facts,
  filled,
  flagFeed,
  json,
  profileLink,
  status,
  toast,
} from "../ui.js";
import { evidenceCard } from "./evidence.js";
import { recomputed } from "./formula.js";
import { brief, reasonFor } from "./flags.js";
import { opening } from "./reports.js";

const HOUR = 3600e3;

export async function show(host, at, id) {
  const [flag, known] = await Promise.all([
    ask(`flags/${encodeURIComponent(id)}`, { signal: at.signal }),
    vocabulary(),
  ]);
  const head = h("div");
  const side = h("div");
  let now = flag;
  const drawDecisions = () => {
    replace(head, headOf(now));
    replace(side, lifeCycle(now, known, decide));
  };

  async function decide(action) {
    const reason = await reasonFor(action, known);
    if (reason === null) return;
    try {
      now = await ask(`flags/${encodeURIComponent(id)}/events`, {
        body: { action, reason: reason || null, version: now.version },
      });
      toast(t("flag.done", { action: t(`do.${action}`) }), "good");
    } catch (problem) {
      toast(problem.kind === "conflict" ? t("flag.conflict") : problem.message, "bad");
      now = await ask(`flags/${encodeURIComponent(id)}`);
    }
    drawDecisions();
  }

  at.off(
    live.on("flag", async (changed) => {
      if (changed.id !== id || changed.version === now.version) return;
      now = await ask(`flags/${encodeURIComponent(id)}`, { signal: at.signal });
      drawDecisions();
    }),
  );
  drawDecisions();
  const device = h("div");
  const readings = h("div");
  const similar = h("div");
  const evidence = h("div");
  replace(
    host,
    crumbs("/flags", t("nav.flags")),
    head,
    h(
      "div",
      { class: "story" },
      h("div", { class: "story-main" }, comparison(flag), readings, formula(flag), evidence),
      h("div", { class: "story-side" }, side, device, meaning(flag, known), similar),
    ),
  );
  await Promise.all([
    plotAround(readings, flag, at),
    deviceCard(device, flag, at),
    similarFlags(similar, flag, at),
    may("evidence") ? evidenceCard(evidence, flag.ledger_offset, at) : null,
  ]);
}

function headOf(flag) {
  return h(
    "div",
    { class: "flag-head" },
    h(
      "div",
      { class: "flag-marks" },
      badge(flag.severity),
      status(flag.status),
      flag.condition &&
        flag.condition !== flag.status &&
        h(
          "span",
          { class: "sub" },
          t("flag.condition", { condition: word("status", flag.condition) }),
        ),
    ),
    h("h1", { tabindex: "-1" }, title(flag.title, flag.code)),
    h("p", { class: "lead" }, brief(flag)),
    h(
      "p",
      { class: "where" },
      h("a", { href: `/devices/${encodeURIComponent(flag.device_id)}` }, flag.device_id),
      " · ",
      kind(flag.kind),
      flag.channel && ` · ${t("flag.channel", { channel: flag.channel })}`,
      flag.site && [" · ", h("a", { href: `/sites/${encodeURIComponent(flag.site)}` }, flag.site)],
      flag.region && ` · ${flag.region}`,
      h("br"),
      time(flag.from),
      flag.to !== flag.from && [
        " – ",
        time(flag.to),
        ` (${span(Date.parse(flag.to) - Date.parse(flag.from))})`,
      ],
      h("span", { class: "sub" }, ` · ${ago(flag.from)}`),
    ),
    h(
      "p",
      { class: "paper" },
      h("span", { class: "sub" }, t("reports.evidence")),
      opening(`flags/${encodeURIComponent(flag.id)}/report`, {}),
    ),
  );
}

function rangeOf(evidence) {
  const { expected, tolerance } = evidence;
  const slack = typeof tolerance === "number" ? Math.abs(tolerance) : 0;
  if (typeof expected === "number")
    return { low: expected - slack, high: expected + slack, centre: expected };
  if (expected && typeof expected.low === "number" && typeof expected.high === "number") {
    return {
      low: expected.low - slack,
      high: expected.high + slack,
      centre: expected.low === expected.high ? expected.low : null,
    };
  }
  return null;
}

function comparison(flag) {
  const { observed, expected, tolerance, unit: code, quantity: name } = flag.evidence;
  const right = rangeOf(flag.evidence);
  const shown = (value) => {
    if (typeof value === "number") return withUnit(value, code);
    if (value && typeof value === "object" && !Array.isArray(value) && "low" in value)
      return `${number(value.low)} – ${withUnit(value.high, code)}`;
    return typeof value === "string" ? value : JSON.stringify(value);
  };
  const off =
    right && typeof observed === "number"
      ? observed > right.high
        ? observed - right.high
        : right.low - observed
      : null;
  return card(
    name ? t("flag.compared-of", { name: quantity(name) }) : t("flag.compared"),
    h(
      "div",
      { class: "figures" },
      h(
        "div",
        { class: "figure bad" },
        h("span", null, t("flag.observed")),
        h("strong", null, shown(observed)),
      ),
      h(
        "div",
        { class: "figure good" },
        h("span", null, t("flag.expected")),
        h("strong", null, shown(expected)),
      ),
      typeof tolerance === "number" &&
        h(
          "div",
          { class: "figure" },
          h("span", null, t("flag.tolerance")),
          h("strong", null, `± ${withUnit(tolerance, code)}`),
        ),
      off > 0 &&
        h(
          "div",
          { class: "figure" },
          h("span", null, t("flag.beyond")),
          h("strong", null, withUnit(off, code)),
        ),
    ),
    right && typeof observed === "number" && ruler(observed, right, code),
  );
}

// Observed and what is right on one line, with the tolerance at its true width.
function ruler(observed, right, code) {
  const least = Math.min(observed, right.low);
  const most = Math.max(observed, right.high);
  const pad = (most - least) * 0.12 || 1;
  const wide = matchMedia("(max-width: 760px)").matches ? 460 : 1000;
  const x = (value) => 20 + ((wide - 40) * (value - least + pad)) / (most - least + 2 * pad);
  const width = Math.max(x(right.high) - x(right.low), 3);
  const label = t("flag.ruler", {
    observed: withUnit(observed, code),
    low: withUnit(right.low, code),
    high: withUnit(right.high, code),
  });
  const left = x(observed) < x(right.low);
  const anchor = (at) => (at > wide - 140 ? "end" : at < 140 ? "start" : "middle");
  return s(
    "svg",
    { class: "ruler", viewBox: `0 0 ${wide} 92`, role: "img", "aria-label": label },
    s("line", { x1: 20, x2: wide - 20, y1: 46, y2: 46, class: "axis" }),
    s("rect", { x: x(right.low), y: 32, width, height: 28, class: "right" }),
    right.centre !== null &&
      s("line", { x1: x(right.centre), x2: x(right.centre), y1: 28, y2: 64, class: "centre" }),
    s("line", {
      x1: x(observed),
      x2: left ? x(right.low) : x(right.low) + width,
      y1: 46,
      y2: 46,
      class: "gap",
    }),
    s("circle", { cx: x(observed), cy: 46, r: 9, class: "seen" }),
    s(
      "text",
      { x: x(observed), y: 18, "text-anchor": anchor(x(observed)), class: "seen-text" },
      withUnit(observed, code),
    ),
    s(
      "text",
      {
        x: x((right.low + right.high) / 2),
        y: 84,
        "text-anchor": anchor(x((right.low + right.high) / 2)),
        class: "right-text",
      },
      right.low === right.high
        ? withUnit(right.low, code)
        : `${number(right.low)} – ${withUnit(right.high, code)}`,
    ),
  );
}

async function plotAround(host, flag, at) {
  if (!may("readings")) return;
  const name = flag.evidence.quantity;
  const body = h("div");
  const caption = h("p", { class: "sub" });
  const from = Date.parse(flag.from);
  const to = Math.max(Date.parse(flag.to), from);
  const pad = Math.max(
    (to - from) * 0.75,
    flag.kind === "taximeter" || flag.kind === "fuel_dispenser" ? 6 * HOUR : 24 * HOUR,
  );
  let undo = () => {};
  at.off(() => undo());
  replace(host, card(t("flag.around"), body, caption));
  async function draw(since, until) {
    await filled(
      body,
      async () => {
        const told = await ask(`devices/${encodeURIComponent(flag.device_id)}/series`, {
          query: {
            kind: flag.kind,
            channel: name ? flag.channel : null,
            quantity: name,
            points: 600,
            since: new Date(since).toISOString(),
            until: new Date(until).toISOString(),
          },
          signal: at.signal,
        });
        const chosen = name ?? mostTold(told);
        const lines = chosen ? linesOf(told, chosen) : [];
        if (!lines.length) return empty(t("flag.no-readings"));
        const frame = h("div");
        const right = name ? rangeOf(flag.evidence) : null;
        const { observed } = flag.evidence;
        const near = right && typeof observed === "number";
        const marks = {
          from: flag.from,
          to: flag.to,
          ...(near ? { low: right.low, high: right.high, observed, at: flag.measured_at } : {}),
        };
        undo();
        requestAnimationFrame(() => {
          undo = plot(frame, lines, {
            height: 240,
            marks,
            extent: [since, until],
            label: t("plot.label", {
              name: quantity(chosen),
              from: clock(since),
              to: clock(until),
            }),
            zoomed: (a, b) => (a === undefined ? draw(from - pad, to + pad) : draw(a, b)),
          });
        });
        replace(caption, `${quantity(chosen)} ${unit(lines[0].unit)} · `, t("plot.hint"));
        return frame;
      },
      { lines: 1, tall: true },
    );
  }
  await draw(from - pad, to + pad);
}

function mostTold(told) {
  const sizes = told.series.map((each) => [each.quantity, each.at.length]);
  return sizes.sort(([, a], [, b]) => b - a)[0]?.[0];
}

function formula(flag) {
  const { evidence } = flag;
  const told = recomputed(evidence);
  const left = new Set([
    "observed",
    "expected",
    "tolerance",
    "unit",
    "quantity",
    "formula",
    "inputs",
  ]);
  const rest = Object.entries(evidence).filter(([name]) => !left.has(name));
  return card(
    t("flag.formula"),
    evidence.formula
      ? h(
          "div",
          { class: "formula" },
          h("code", null, evidence.formula),
          told && [
            h("code", null, told.text),
            h(
              "p",
              { class: told.agrees ? "verdict good" : "verdict bad" },
              icon(told.agrees ? "check" : "cross"),
              t(told.agrees ? "flag.agrees" : "flag.differs", {
                value: withUnit(told.value, evidence.unit),
              }),
            ),
          ],
        )
      : h("p", { class: "sub" }, t("flag.no-formula")),
    evidence.inputs &&
      typeof evidence.inputs === "object" &&
      h(
        "div",
        null,
        h("h3", null, t("flag.inputs")),
        facts(
          Object.entries(evidence.inputs).map(([name, value]) => [
            quantity(name),
            plain(name, value),
          ]),
        ),
      ),
    rest.length > 0 &&
      h(
        "details",
        null,
        h("summary", null, t("flag.more-evidence")),
        facts(rest.map(([name, value]) => [word("evidence", name), plain(name, value)])),
      ),
  );
}

function plain(name, value) {
  if (typeof value === "number" && name.endsWith("_at") && value > 1e17) return clock(value / 1e6);
  if (typeof value === "number") return number(value);
  if (typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value)) return time(value);
  if (typeof value === "boolean") return t(value ? "page.yes" : "page.no");
  return typeof value === "string" ? value : json(value);
}

function meaning(flag, known) {
  const info = known.codes[flag.code] ?? {};
  // A flag has its clauses in the words of its day; one that is not known any more stands so.
  const basis = (flag.basis ?? "").split("; ").map((each) => title(known.clauses[each], each));
  return card(
    t("flag.clause"),
    facts([
      [t("flag.basis"), basis.join(language === "zh" ? "；" : "; ")],
      [t("flag.code"), h("code", null, flag.code)],
      [t("flag.rule"), title(info.doc)],
      [t("flag.tolerance-source"), title(info.tolerance)],
      [t("flag.profile"), profileLink(flag.profile)],
    ]),
  );
}

async function deviceCard(host, flag, at) {
  const body = h("div");
  replace(host, card(t("flag.device"), body));
  await filled(
    body,
    async () => {
      const device = await ask(`devices/${encodeURIComponent(flag.device_id)}`, {
        signal: at.signal,
      });
      const certificate = device.certificates?.at(-1);
      const until = device.verified_until;
      return facts(
        [
          [
            t("column.device"),
            h("a", { href: `/devices/${encodeURIComponent(flag.device_id)}` }, flag.device_id),
          ],
          [t("device.model"), [device.vendor, device.model].filter(Boolean).join(" ")],
          [t("device.serial"), device.serial_number],
          [t("device.owner"), device.owner],
          [
            t("device.site"),
            device.site &&
              h("a", { href: `/sites/${encodeURIComponent(device.site)}` }, device.site),
          ],
          [t("device.certificate"), certificate?.number ?? device.certificate],
          [
            t("device.verified-until"),
            until &&
              h(
                "span",
                { class: Date.parse(until) < Date.parse(flag.from) ? "bad-text" : "" },
                time(until, { day: true }),
              ),
          ],
          [t("device.flags"), number(device.flags)],
          !device.registered && [
            t("device.registered"),
            h("span", { class: "bad-text" }, t("page.no")),
          ],
        ].filter(Boolean),
      );
    },
    { lines: 5 },
  );
}

async function similarFlags(host, flag, at) {
  const body = h("div");
  replace(host, card(t("flag.similar"), body));
  await filled(
    body,
    async () => {
      const [same, others] = await Promise.all([
        ask("flags", { query: { device_id: flag.device_id, limit: 6 }, signal: at.signal }),
        ask("flags", { query: { code: flag.code, kind: flag.kind, limit: 8 }, signal: at.signal }),
      ]);
      const mine = same.items.filter((each) => each.id !== flag.id).slice(0, 4);
      const elsewhere = others.items
        .filter((each) => each.id !== flag.id && each.device_id !== flag.device_id)
        .slice(0, 4);
      if (!mine.length && !elsewhere.length) return h("p", { class: "sub" }, t("flag.no-similar"));
      return [
        mine.length > 0 && [h("h3", null, t("flag.same-device")), flagFeed(mine)],
        elsewhere.length > 0 && [h("h3", null, t("flag.same-code")), flagFeed(elsewhere)],
        h(
          "p",
          null,
          h("a", { href: `/flags?status=all&code=${flag.code}` }, t("flag.all-of-code")),
        ),
      ];
    },
    { lines: 4 },
  );
}

function lifeCycle(flag, known, decide) {
  const actions = may("decide") ? (flag.allowed ?? []) : [];
  const main = {
    open: "acknowledge",
    acknowledged: "confirm",
    confirmed: "close",
    dismissed: "close",
  };
  const first = main[flag.decision?.state ?? "open"];
  return card(
    t("flag.life"),
    h(
      "ol",
      { class: "history" },
      (flag.history ?? []).map((each) =>
        h(
          "li",
          { class: each.kind },
          h("span", { class: "strong" }, word("happened", each.action)),
          each.actor && h("span", null, ` · ${each.actor}`),
          h("div", { class: "sub" }, each.at ? time(each.at) : t("flag.unknown-time")),
          each.reason && h("p", { class: "note" }, each.reason),
        ),
      ),
    ),
    actions.length > 0 &&
      h(
        "div",
        { class: "buttons" },
        actions.map((action) =>
          button(t(`do.${action}`), () => decide(action), {
            kind: action === first ? "primary" : "",
            title: known.decisions[action].reason ? t("flag.reason") : null,
          }),
        ),
      ),
  );
}
