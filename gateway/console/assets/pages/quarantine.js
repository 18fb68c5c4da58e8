// What could not be read: by reason, and each message with its bytes.

import { ask, may } from "../api.js";
import { h, replace } from "../dom.js";
import { bytes, count, time } from "../format.js";
import { note } from "../router.js";
import { t, word } from "../texts.js";
import { button, card, dialog, empty, facts, filled, heading, listing, table } from "../ui.js";
import { bytesOf, hexDump } from "./evidence.js";
import { choiceOf, confirm, orders, retriable } from "./reprocess.js";

export async function show(host, at) {
  const chosen = { reason: at.query.get("reason") ?? "", profile: at.query.get("profile") ?? "" };
  const groups = h("div");
  let found = [];
  const only = h("div", { class: "bulk" });
  const list = listing(
    (cursor) => ask("quarantine", { query: { ...chosen, cursor, limit: 40 }, signal: at.signal }),
    rowsOf,
    { none: () => empty(t("quarantine.none"), t("quarantine.none-detail")) },
  );
  function pick(reason, profile) {
    Object.assign(chosen, { reason, profile });
    note(chosen);
    replace(
      only,
      (reason || profile) && [
        h("span", null, choiceOf(chosen)),
        button(t("flags.reset"), () => pick("", ""), { kind: "quiet" }),
      ],
    );
    list.load();
  }
  const asked = orders(at.signal, () => Promise.all([group(true), list.load(true)]));
  const again = button(t("reprocess.do"), () => {
    const picked = { ...chosen };
    confirm(picked, retriable(found, picked), asked.look);
  });
  again.disabled = true;
  // First of all: what comes later would push the rest down.
  await asked.look();
  replace(
    host,
    heading(t("nav.quarantine"), may("decide") && again),
    asked.node,
    card(t("quarantine.groups"), groups),
    only,
    list.node,
  );
  const group = (quiet) =>
    filled(
      groups,
      async () => {
        const { items } = await ask("quarantine/counts", { signal: at.signal });
        found = items;
        again.disabled = !items.length;
        if (!items.length) return h("p", { class: "sub" }, t("quarantine.none"));
        return table(
          [
            {
              title: t("column.reason"),
              class: "grow",
              cell: (g) =>
                h(
                  "button",
                  { type: "button", class: "link", onclick: () => pick(g.reason, g.profile ?? "") },
                  word("reason", g.reason),
                ),
            },
            { title: t("column.stage"), cell: (g) => word("stage-name", g.stage) },
            { title: t("column.profile"), cell: (g) => g.profile ?? "–" },
            { title: t("column.messages"), class: "num", cell: (g) => count(g.messages) },
            { title: t("nav.devices"), class: "num", cell: (g) => count(g.devices) },
          ],
          items,
          { caption: t("quarantine.groups") },
        );
      },
      { lines: 4, quiet },
    );
  await Promise.all([group(false), pick(chosen.reason, chosen.profile)]);
}

function rowsOf(items) {
  return table(
    [
      { title: t("evidence.received"), class: "when", cell: (q) => time(q.received_at) },
      {
        title: t("column.reason"),
        class: "grow",
        cell: (q) => [
          h("span", { class: "strong" }, word("reason", q.reason)),
          h("div", { class: "sub wrap" }, q.detail),
        ],
      },
      {
        title: t("column.device"),
        cell: (q) =>
          q.device_id
            ? h("a", { href: `/devices/${encodeURIComponent(q.device_id)}` }, q.device_id)
            : "–",
      },
      { title: t("evidence.size"), class: "num", cell: (q) => bytes(q.payload_size ?? 0) },
      {
        title: "",
        class: "narrow",
        cell: (q) => button(t("quarantine.inspect"), () => inspect(q)),
      },
    ],
    items,
    { caption: t("nav.quarantine") },
  );
}

function inspect(row) {
  const shown = row.payload !== undefined || row.payload_base64 !== undefined;
  dialog(word("reason", row.reason), (close) => [
    facts([
      [t("evidence.topic"), row.topic && h("code", { class: "wrap" }, row.topic)],
      [t("column.profile"), row.profile],
      [t("quarantine.detail"), row.detail],
    ]),
    shown ? hexDump(bytesOf(row)) : h("p", { class: "sub" }, t("quarantine.hidden")),
    h(
      "div",
      { class: "buttons" },
      may("evidence") &&
        h(
          "a",
          { class: "button", href: `/ingest/${row.ledger_offset}`, onclick: close },
          t("evidence.stages"),
        ),
      button(t("page.close"), close, { kind: "primary" }),
    ),
  ]);
}
