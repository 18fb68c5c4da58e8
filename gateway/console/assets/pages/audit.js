// What people did and looked at, and whether anybody altered that.

import { ask } from "../api.js";
import { h, replace } from "../dom.js";
import { count, time } from "../format.js";
import { note } from "../router.js";
import { t, word } from "../texts.js";
import {
  button,
  empty,
  filterForm,
  heading,
  listing,
  search,
  select,
  table,
  toast,
} from "../ui.js";

const FAMILIES = [
  "flag.",
  "look.",
  "user.",
  "token.",
  "login",
  "device.",
  "certificate.",
  "quarantine.",
  "retention.",
];

export async function show(host, at) {
  const chosen = {
    action: at.query.get("action") ?? "",
    actor: at.query.get("actor") ?? "",
    subject: at.query.get("subject") ?? "",
  };
  const verdict = h("div", { role: "status" });
  const list = listing(
    (cursor) => ask("audit", { query: { ...chosen, cursor, limit: 60 }, signal: at.signal }),
    rows,
    { none: () => empty(t("audit.none")) },
  );
  const change = (name) => (value) => {
    chosen[name] = value;
    note(chosen);
    list.load();
  };
  const check = button(
    t("audit.verify"),
    async () => {
      check.disabled = true;
      try {
        const told = await ask("audit/verification", { cache: "no-store" });
        replace(
          verdict,
          h(
            "p",
            { class: `verdict ${told.ok ? "good" : "bad"}` },
            t(told.ok ? "audit.holds" : "audit.broken", { count: count(told.entries) }),
          ),
          !told.ok &&
            h(
              "ul",
              null,
              told.faults.map((each) => h("li", null, String(each))),
            ),
          h(
            "p",
            { class: "sub wrap" },
            t("audit.head", { id: told.head.id, hash: told.head.hash }),
          ),
        );
      } catch (problem) {
        toast(problem.message, "bad");
      }
      check.disabled = false;
    },
    { kind: "primary" },
  );
  replace(
    host,
    heading(t("nav.audit"), check),
    verdict,
    filterForm(
      select(
        t("audit.action"),
        chosen.action,
        [
          ["", t("filter.any")],
          ...FAMILIES.map((each) => [each, word("audit-family", each.replace(".", ""))]),
        ],
        change("action"),
      ),
      search(t("audit.actor"), chosen.actor, change("actor")),
      search(t("audit.subject"), chosen.subject, change("subject")),
    ),
    list.node,
  );
  await list.load();
}

function rows(items) {
  return table(
    [
      { title: t("audit.at"), class: "when", cell: (e) => time(e.at) },
      { title: t("audit.actor"), cell: (e) => e.actor },
      {
        title: t("audit.action"),
        cell: (e) => [word("audit", e.action), h("div", { class: "sub" }, e.action)],
      },
      {
        title: t("audit.subject"),
        class: "grow",
        cell: (e) => h("span", { class: "wrap" }, e.subject),
      },
      {
        title: t("audit.detail"),
        class: "grow",
        cell: (e) =>
          Object.keys(e.detail).length
            ? h(
                "details",
                null,
                h("summary", null, Object.keys(e.detail).slice(0, 3).join(", ")),
                h("pre", { class: "code", tabindex: "0" }, JSON.stringify(e.detail, null, 2)),
              )
            : "–",
      },
      { title: "#", class: "num", cell: (e) => h("span", { title: e.hash }, e.id) },
    ],
    items,
    { caption: t("nav.audit") },
  );
}
