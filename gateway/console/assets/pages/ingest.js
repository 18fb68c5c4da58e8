// How intake, ledger, processing and sinks are doing; and one message of the ledger.

import { ask } from "../api.js";
import { h, replace } from "../dom.js";
import { bytes, count, number, span, time } from "../format.js";
import * as live from "../live.js";
import { go } from "../router.js";
import { t, word } from "../texts.js";
import { card, crumbs, facts, failure, field, heading, skeleton, spark, table } from "../ui.js";
import { evidenceCard } from "./evidence.js";

export async function show(host, at) {
  if (at.rest.length) return showMessage(host, at, Number(at.rest[0]));
  const body = h("div", null, skeleton(8));
  replace(host, heading(t("nav.ingest")), body);
  let drawn = false;
  const draw = (told) => {
    drawn = true;
    replace(body, view(told));
  };
  at.off(live.on("status", draw));
  try {
    const told = await ask("ingest", { signal: at.signal });
    live.take(told);
  } catch (problem) {
    if (!drawn)
      replace(
        body,
        failure(problem, () => show(host, at)),
      );
  }
}

async function showMessage(host, at, offset) {
  const body = h("div");
  replace(
    host,
    crumbs("/ingest", t("nav.ingest")),
    heading(t("ingest.message", { offset: count(offset) })),
    body,
  );
  await evidenceCard(body, offset, at);
}

function view(told) {
  const { messages, ledger, processing } = told;
  const parts = ["stored", "duplicates", "ignored", "quarantined", "pending"];
  const input = h("input", { type: "number", min: "0", required: true });
  return h(
    "div",
    { class: "columns" },
    card(
      t("ingest.gateway"),
      facts([
        [t("ingest.name"), `${told.name} ${told.version}`],
        [t("column.state"), word("gateway", told.state)],
        [t("ingest.started"), time(told.started_at)],
        [t("tile.rate"), live.rates.length ? number(live.rates.at(-1), 1) : "–"],
      ]),
      spark(live.rates),
    ),
    card(
      t("ingest.balance"),
      facts([
        [t("ingest.received"), count(messages.received)],
        ...parts.map((name) => [t(`ingest.${name}`), count(messages[name])]),
      ]),
      h(
        "p",
        { class: told.balance === "ok" ? "verdict good" : "verdict bad" },
        told.balance === "ok" ? t("ingest.balances") : told.balance,
      ),
    ),
    card(
      t("tile.ledger"),
      facts([
        [t("column.state"), word("ledger", ledger.state)],
        [t("ingest.offsets"), `${count(ledger.first_offset)} – ${count(ledger.next_offset)}`],
        [t("evidence.size"), bytes(ledger.bytes)],
      ]),
      h(
        "form",
        {
          class: "inline",
          onsubmit: (event) => {
            event.preventDefault();
            go(`/ingest/${input.value}`);
          },
        },
        field(t("ingest.look-up"), input),
        h("button", { type: "submit", class: "button" }, t("stage.show")),
      ),
    ),
    card(
      t("ingest.processing"),
      facts([
        [t("column.state"), word("processing", processing.state)],
        [t("tile.lag"), span(processing.lag_s * 1000)],
        [t("ingest.next"), count(processing.next_offset)],
        [t("ingest.restarts"), count(processing.restarts)],
        [t("ingest.error"), processing.error],
        [t("column.readings"), count(told.readings)],
        [t("column.flags"), count(told.flags)],
      ]),
    ),
    card(
      t("ingest.sources"),
      table(
        [
          { title: t("ingest.name"), class: "grow", cell: (each) => each.name },
          {
            title: t("column.state"),
            cell: (each) =>
              h(
                "span",
                { class: each.connected ? "good-text" : "bad-text" },
                t(each.connected ? "ingest.connected" : "ingest.lost"),
              ),
          },
          { title: t("ingest.reconnects"), class: "num", cell: (each) => count(each.reconnects) },
          { title: t("ingest.error"), cell: (each) => each.error ?? "–" },
        ],
        told.sources,
        { caption: t("ingest.sources") },
      ),
    ),
    told.sinks.length > 0 &&
      card(
        t("ingest.sinks"),
        table(
          [
            { title: t("ingest.name"), class: "grow", cell: (each) => each.name },
            { title: t("ingest.pending"), class: "num", cell: (each) => count(each.lag) },
            { title: t("ingest.error"), cell: (each) => each.error ?? "–" },
          ],
          told.sinks,
          { caption: t("ingest.sinks") },
        ),
      ),
    Object.keys(processing.not_judged).length > 0 &&
      card(
        t("ingest.not-judged"),
        facts(Object.entries(processing.not_judged).map(([name, value]) => [name, count(value)])),
      ),
  );
}
