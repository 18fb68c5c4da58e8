// Messages in quarantine decided again: what is asked for, how far it is, and what came of it.

import { ask, may } from "../api.js";
import { h, replace } from "../dom.js";
import { count, time } from "../format.js";
import { t, word } from "../texts.js";
import { button, card, dialog, failure, stack, toast } from "../ui.js";

const SHOWN = 4;
const AGAIN_MS = 1000;
// Of the others no single message is known that could be decided.
const STAGES = new Set(["decode", "normalise", "store"]);
const open = (order) => order.state === "waiting" || order.state === "running";

export const choiceOf = ({ reason, profile }) =>
  [reason && word("reason", reason), profile].filter(Boolean).join(" · ") || t("reprocess.all");
const ofChoice = (chosen) =>
  chosen.reason || chosen.profile ? choiceOf(chosen) : t("reprocess.all-seen");

// How many messages of these groups a choice would have decided again.
export const retriable = (groups, { reason, profile }) =>
  groups
    .filter((g) => STAGES.has(g.stage) && (!reason || g.reason === reason))
    .filter((g) => !profile || (g.profile ?? "").split("@")[0] === profile.split("@")[0])
    .reduce((sum, g) => sum + g.messages, 0);

export function confirm(chosen, messages, ordered) {
  dialog(t("reprocess.title"), (close) => {
    const problem = h("div");
    const go = button(t("reprocess.do"), order, { kind: "primary", disabled: !messages });
    async function order() {
      go.disabled = true;
      const body = { reason: chosen.reason || null, profile: chosen.profile || null };
      try {
        await ask("quarantine/reprocess", { body });
        close();
        ordered();
      } catch (fault) {
        go.disabled = false;
        const known = fault.kind === "refused";
        replace(
          problem,
          known
            ? h("p", { role: "alert", class: "bad-text" }, t("reprocess.refused"))
            : failure(fault),
        );
      }
    }
    return [
      h(
        "p",
        { class: "strong" },
        `${ofChoice(chosen)} · `,
        t("reprocess.many", { count: count(messages) }),
      ),
      h(
        "ul",
        { class: "points" },
        ["read", "late", "refused-stay", "beside", "noted"].map((each) =>
          h("li", null, t(`reprocess.point-${each}`)),
        ),
      ),
      problem,
      h("div", { class: "buttons" }, button(t("page.cancel"), close), go),
    ];
  });
}

// The latest orders, looked at again while one is at work; `changed` is called when one has ended.
export function orders(signal, changed) {
  const node = h("div");
  let before = new Map();
  let waiting;
  signal.addEventListener("abort", () => clearTimeout(waiting));
  async function look() {
    clearTimeout(waiting);
    let again = true;
    try {
      const { items } = await ask("quarantine/reprocess", { signal });
      const ended = items.filter((o) => !open(o) && before.get(o.number));
      before = new Map(items.map((o) => [o.number, open(o)]));
      draw(items.slice(0, SHOWN));
      again = items.some(open);
      ended.forEach((o) =>
        toast(t(`reprocess.told-${o.state}`, told(o)), o.state === "done" ? "good" : "bad"),
      );
      if (ended.length) changed();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      // Processing that is away comes again, and the order goes on then.
      again = before.size > 0;
    }
    if (again && !signal.aborted) waiting = setTimeout(look, AGAIN_MS);
  }
  function draw(items) {
    // Without an order its place is kept: the first one must not push the page down.
    const none = may("decide") && h("p", { class: "order order-none" }, t("reprocess.none"));
    const found = items.length ? h("ol", { class: "orders" }, items.map(line)) : none;
    replace(node, found && card(t("reprocess.orders"), found));
  }
  return { node, look };
}

const told = (order) => ({
  decided: count(order.decided),
  stored: count(order.stored),
  refused: count(order.refused),
});

function line(order) {
  return h(
    "li",
    { class: "order" },
    h(
      "div",
      { class: "order-head" },
      h("span", { class: "strong" }, choiceOf(order)),
      h("span", { class: `chip order-${order.state}` }, t(`reprocess.state-${order.state}`)),
    ),
    h(
      "div",
      { class: "sub" },
      t("reprocess.asked", { number: order.number, name: order.asked_by }),
      " · ",
      time(order.asked_at),
      order.region && ` · ${t("column.region")} ${order.region}`,
    ),
    bar(order),
    h("div", { class: "order-result" }, result(order)),
  );
}

function bar(order) {
  const left = open(order) ? Math.max(0, order.messages - order.decided) : 0;
  const nothing = order.duplicates + order.ignored;
  return stack([
    ["stored", order.stored, t("reprocess.part-stored")],
    ["nothing", nothing, t("reprocess.part-nothing")],
    ["refused", order.refused, t("reprocess.part-refused")],
    ["left", left, t("reprocess.part-left")],
  ]);
}

function result(order) {
  if (order.state === "waiting") return t("reprocess.waits", { count: count(order.messages) });
  const parts = [
    order.state === "running"
      ? t("reprocess.progress", { decided: count(order.decided), count: count(order.messages) })
      : t("reprocess.decided", { count: count(order.decided) }),
    h(
      "span",
      { class: "mark part-mark-stored" },
      t("reprocess.part-stored"),
      " ",
      count(order.stored),
    ),
    h(
      "span",
      { class: "mark part-mark-refused" },
      t("reprocess.part-refused"),
      " ",
      count(order.refused),
    ),
  ];
  const nothing = order.duplicates + order.ignored;
  if (nothing)
    parts.push(
      h(
        "span",
        { class: "mark part-mark-nothing" },
        t("reprocess.part-nothing"),
        " ",
        count(nothing),
      ),
    );
  if (order.state === "failed")
    parts.push(
      h("div", { class: "bad-text" }, t("reprocess.gave-up", { offset: order.next_offset })),
    );
  return parts;
}
