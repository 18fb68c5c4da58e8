// The message behind something: as it came, decoded stage by stage, and proven by the ledger.

import { ask, may } from "../api.js";
import { h, icon, replace } from "../dom.js";
import { bytes, count, time } from "../format.js";
import { t, word } from "../texts.js";
import { button, card, facts, filled, json, table } from "../ui.js";

const ROW = 16;
const SHOWN = 4096;

export const bytesOf = (record) =>
  record.payload_base64 === undefined
    ? new TextEncoder().encode(record.payload ?? "")
    : Uint8Array.from(atob(record.payload_base64), (letter) => letter.charCodeAt(0));

const hex = (number, width = 2) => number.toString(16).padStart(width, "0");
const hexOf = (octets) => Array.from(octets, (each) => hex(each)).join("");

export function hexDump(octets) {
  const lines = [];
  for (let begin = 0; begin < Math.min(octets.length, SHOWN); begin += ROW) {
    const row = octets.slice(begin, begin + ROW);
    const text = Array.from(row, (each) =>
      each > 31 && each < 127 ? String.fromCharCode(each) : "·",
    ).join("");
    lines.push(
      `${hex(begin, 4)}  ${Array.from(row, (each) => hex(each))
        .join(" ")
        .padEnd(ROW * 3 - 1)}  ${text}`,
    );
  }
  if (octets.length > SHOWN) lines.push("…");
  return h("pre", { class: "code hex", tabindex: "0" }, lines.join("\n"));
}

export async function evidenceCard(host, offset, at) {
  const body = h("div");
  const stages = h("div");
  replace(
    host,
    card(t("evidence.title"), body),
    may("exact") && card(t("evidence.stages"), stages),
  );
  const show = async () => {
    const record = await ask(`evidence/${offset}`, { signal: at.signal });
    const octets = bytesOf(record);
    return [
      proof(record, octets, offset),
      facts([
        [t("evidence.topic"), h("code", { class: "wrap" }, record.topic)],
        [t("evidence.received"), time(record.received_at)],
        [t("evidence.size"), bytes(record.payload_size)],
      ]),
      payloadView(record, octets),
    ];
  };
  const decode = async () =>
    stagesView(await ask(`evidence/${offset}/stages`, { signal: at.signal }));
  await Promise.all([
    filled(body, show, { lines: 6 }),
    may("exact") && filled(stages, decode, { lines: 5 }),
  ]);
}

function payloadView(record, octets) {
  const host = h("div");
  const isText = record.payload !== undefined;
  const views = { text: () => textView(record.payload), hex: () => hexDump(octets) };
  const tabs = h("div", { class: "tabs", role: "group", "aria-label": t("evidence.payload") });
  function turn(name) {
    replace(
      tabs,
      Object.keys(views).map((each) =>
        h(
          "button",
          {
            type: "button",
            "aria-pressed": String(each === name),
            disabled: each === "text" && !isText,
            onclick: () => turn(each),
          },
          t(`evidence.${each}`),
        ),
      ),
    );
    replace(host, views[name]());
  }
  turn(isText ? "text" : "hex");
  return h("div", null, tabs, host);
}

function textView(text) {
  try {
    return json(JSON.parse(text));
  } catch {
    return h("pre", { class: "code", tabindex: "0" }, text);
  }
}

// The button asks the ledger again and hashes what came in this browser, too.
function proof(record, octets, offset) {
  const verdict = h("div", { class: "proof-verdict", role: "status" });
  const batch = record.batch;
  const check = button(
    t("proof.verify"),
    async () => {
      check.disabled = true;
      replace(verdict, h("p", { class: "sub" }, t("proof.working")));
      try {
        const began = performance.now();
        const again = await ask(`evidence/${offset}`, {
          cache: "no-store",
          headers: { "If-None-Match": "" },
        });
        const mine = hexOf(new Uint8Array(await crypto.subtle.digest("SHA-256", bytesOf(again))));
        const steps = [
          [
            mine === again.payload_sha256 && again.payload_sha256 === record.payload_sha256,
            "proof.payload",
          ],
          [again.verified, "proof.batch"],
          [again.batch.chain === batch.chain, "proof.chain"],
        ];
        const good = steps.every(([holds]) => holds);
        replace(
          verdict,
          h(
            "p",
            { class: `verdict ${good ? "good" : "bad"}` },
            icon(good ? "check" : "cross"),
            t(good ? "proof.holds" : "proof.broken", { ms: Math.round(performance.now() - began) }),
          ),
          h(
            "ul",
            { class: "plain-list" },
            steps.map(([holds, text]) =>
              h(
                "li",
                { class: holds ? "good-text" : "bad-text" },
                icon(holds ? "check" : "cross"),
                t(text),
              ),
            ),
          ),
          again.fault && h("p", { class: "bad-text" }, again.fault),
        );
      } catch (problem) {
        replace(verdict, h("p", { class: "verdict bad" }, icon("cross"), problem.message));
      }
      check.disabled = false;
    },
    { kind: "primary" },
  );
  return h(
    "div",
    { class: "proof" },
    h(
      "div",
      { class: "proof-head" },
      h(
        "p",
        null,
        t("proof.where", {
          offset: count(offset),
          batch: count(batch.number),
          first: count(batch.first_offset),
          last: count(batch.first_offset + batch.messages - 1),
        }),
      ),
      check,
    ),
    verdict,
    h(
      "details",
      null,
      h("summary", null, t("proof.hashes")),
      facts([
        [t("proof.payload-hash"), h("code", { class: "wrap" }, record.payload_sha256)],
        [t("proof.content-hash"), h("code", { class: "wrap" }, batch.content_sha256)],
        [t("proof.previous"), h("code", { class: "wrap" }, batch.previous)],
        [t("proof.head"), h("code", { class: "wrap" }, batch.chain)],
      ]),
    ),
  );
}

// Also what a trial of a profile shows.
export function stagesView(told) {
  const reader = told.candidates.find((each) => each.verdict === "reads it");
  return h(
    "ol",
    { class: "stages" },
    stage(
      "stage.route",
      h(
        "ul",
        { class: "plain-list" },
        told.candidates.map((each) =>
          h(
            "li",
            null,
            h(
              "a",
              { href: `/profiles/${encodeURIComponent(each.profile.split("@")[0])}` },
              each.profile,
            ),
            " ",
            h(
              "span",
              { class: each === reader ? "good-text" : "sub" },
              word("verdict", each.verdict),
            ),
          ),
        ),
        !told.candidates.length && h("li", { class: "bad-text" }, t("stage.no-profile")),
      ),
    ),
    told.bytes.length > 0 && stage("stage.bytes", spansView(told.bytes)),
    told.decoded !== null &&
      told.bytes.length > 0 &&
      stage(
        "stage.decoded",
        h("details", null, h("summary", null, t("stage.show")), json(told.decoded)),
      ),
    told.document !== null &&
      stage(
        "stage.document",
        h(
          "details",
          { open: told.bytes.length === 0 },
          h("summary", null, t("stage.show")),
          json(told.document),
        ),
      ),
    told.readings.length > 0 && stage("stage.readings", told.readings.map(readingView)),
    told.ignored && stage("stage.ignored"),
    told.quarantined &&
      stage(
        "stage.quarantined",
        h("p", { class: "bad-text" }, `${told.quarantined.stage}: ${told.quarantined.reason}`),
        h("p", { class: "mono" }, told.quarantined.detail),
      ),
    told.notes?.length > 0 &&
      stage(
        "stage.notes",
        h(
          "ul",
          { class: "plain-list" },
          told.notes.map((each) => h("li", { class: "sub" }, each)),
        ),
      ),
  );
}

const stage = (title, ...body) => h("li", null, h("h3", null, t(title)), body);

function spansView(spans) {
  const columns = [
    {
      title: t("stage.at"),
      class: "num",
      cell: (each) => (each.from === each.to ? each.from : `${each.from}–${each.to}`),
    },
    {
      title: "HEX",
      cell: (each) =>
        h(
          "code",
          { class: `span-${each.what}` },
          each.hex.slice(0, 48).replace(/(..)(?=.)/g, "$1 ") + (each.hex.length > 48 ? " …" : ""),
        ),
    },
    {
      title: t("stage.what"),
      cell: (each) =>
        each.what === "value" || each.what === "unused"
          ? [
              each.places.join(", "),
              each.what === "unused" && h("span", { class: "sub" }, ` ${t("stage.unused")}`),
            ]
          : [word("span", each.what), each.places.length > 0 && ` · ${each.places.join(", ")}`],
    },
  ];
  return table(columns, spans, { caption: t("stage.bytes") });
}

const META = new Set(["device_id", "kind", "profile", "ledger_offset", "received_at"]);

export function readingView(reading) {
  return facts(
    Object.entries(reading)
      .filter(([name]) => !META.has(name))
      .map(([name, value]) => [
        named(name),
        name === "event" || name === "quality"
          ? word(name, value)
          : typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value)
            ? time(value)
            : String(value),
      ]),
  );
}

const SUFFIXES = {
  l: "L",
  cny: "CNY",
  cel: "°C",
  m3: "m³",
  kwh: "kWh",
  kw: "kW",
  v: "V",
  a: "A",
  hz: "Hz",
  kvarh: "kvar·h",
  kvar: "kvar",
  kva: "kVA",
  kpa: "kPa",
  k: "K",
  pct: "%",
  deg: "°",
};
const suffix = (text) =>
  text
    .split("_per_")
    .map((each) => SUFFIXES[each] ?? each)
    .join("/")
    .replace(/^per_/, "1/")
    .replace("1/l", "1/L");

// The name of an exported key: that of the quantity, with its unit.
export function named(key) {
  const direct = word("quantity", key);
  if (direct !== key) return direct;
  for (let end = key.lastIndexOf("_"); end > 0; end = key.lastIndexOf("_", end - 1)) {
    const name = word("quantity", key.slice(0, end));
    if (name !== key.slice(0, end)) return `${name} (${suffix(key.slice(end + 1))})`;
  }
  return word("column", key);
}
