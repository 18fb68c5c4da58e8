// Tokens for programs: one's own in the account, those of all accounts for who administers them.

import { ask, me } from "../api.js";
import { h, replace } from "../dom.js";
import { ago, count, time } from "../format.js";
import { t, word } from "../texts.js";
import { button, dialog, empty, field, filled, select, table, toast } from "../ui.js";

const DAYS = [7, 30, 90, 180, 366];
const USUAL_DAYS = "90";
const SOON_MS = 7 * 86400e3;

// A card of the tokens of one account, or, without a name, of all that one may see.
export function tokens(at, owner) {
  const body = h("div");
  const load = (quiet) =>
    filled(
      body,
      async () => {
        const { items } = await ask("tokens", { signal: at.signal });
        return view(owner ? items.filter((each) => each.owner === owner) : items, owner, load);
      },
      { lines: 3, quiet },
    );
  const made = h(
    "section",
    { class: "card", id: "tokens" },
    h(
      "header",
      { class: "card-head" },
      h("h2", null, t(owner ? "tokens.own" : "tokens.all")),
      owner && button(t("tokens.add"), () => form(load), { kind: "primary" }),
    ),
    h("p", { class: "sub" }, t(owner ? "tokens.own-detail" : "tokens.all-detail")),
    body,
  );
  return { node: made, load };
}

const ended = (token) => token.state !== "standing";

function view(items, owner, load) {
  const standing = items.filter((each) => !ended(each));
  const over = items.filter(ended);
  return [
    standing.length
      ? rows(standing, owner, load)
      : empty(t("tokens.none"), owner && t("tokens.none-detail")),
    over.length > 0 &&
      h(
        "details",
        null,
        h("summary", null, t("tokens.ended", { count: count(over.length) })),
        rows(over, owner, load),
      ),
  ];
}

function rows(items, owner, load) {
  const columns = [
    {
      title: t("tokens.title"),
      class: "grow",
      cell: (each) => [
        h("span", { class: "strong wrap" }, each.title),
        h(
          "div",
          { class: "sub" },
          each.permissions.map((one) => word("permission", one)).join(" · "),
        ),
        h("div", { class: "sub phone" }, t("tokens.used"), ": ", used(each)),
      ],
    },
    !owner && { title: t("login.name"), cell: (each) => each.owner },
    { title: t("tokens.expires"), class: "when", cell: expiry },
    { title: t("tokens.used"), class: "when desk", cell: used },
    {
      title: t("tokens.made"),
      class: "when desk",
      cell: (each) => time(each.made_at, { day: true }),
    },
    {
      title: "",
      class: "narrow",
      cell: (each) => !ended(each) && button(t("tokens.revoke"), () => revoke(each, load)),
    },
  ].filter(Boolean);
  return table(columns, items, { caption: t(owner ? "tokens.own" : "tokens.all") });
}

const used = (token) =>
  token.used_at
    ? [time(token.used_at, { seconds: false }), h("div", { class: "sub" }, ago(token.used_at))]
    : h("span", { class: "sub" }, t("tokens.never"));

function expiry(token) {
  if (token.state === "revoked")
    return [
      time(token.revoked_at, { day: true }),
      h("div", { class: "bad-text" }, t("tokens.revoked")),
    ];
  const over = token.state === "expired";
  const soon = Date.parse(token.expires_at) - Date.now() < SOON_MS;
  return [
    time(token.expires_at, { day: true }),
    h(
      "div",
      { class: over ? "bad-text" : soon ? "warn-text" : "sub" },
      over ? t("tokens.expired") : ago(token.expires_at),
    ),
  ];
}

function form(load) {
  dialog(t("tokens.add"), (close) => {
    const name = h("input", { required: true, maxlength: "100", autocomplete: "off" });
    const fault = h("p", { class: "fault", role: "alert" });
    const boxes = me().permissions.map((each) => [each, h("input", { type: "checkbox" })]);
    let days = USUAL_DAYS;
    return h(
      "form",
      {
        class: "form",
        onsubmit: async (event) => {
          event.preventDefault();
          const permissions = boxes.filter(([, box]) => box.checked).map(([each]) => each);
          if (!permissions.length) return replace(fault, t("tokens.no-permission"));
          try {
            const made = await ask("tokens", {
              body: { title: name.value.trim(), permissions, days: Number(days) },
            });
            close();
            load(true);
            once(made);
          } catch (problem) {
            replace(fault, problem.message);
          }
        },
      },
      field(t("tokens.title"), name, t("tokens.title-hint")),
      h(
        "fieldset",
        { class: "checks" },
        h("legend", null, t("account.may")),
        boxes.map(([each, box]) => h("label", { class: "check" }, box, word("permission", each))),
      ),
      select(
        t("tokens.days"),
        days,
        DAYS.map((each) => [String(each), t("time.days", { count: each })]),
        (value) => (days = value),
      ),
      fault,
      h(
        "div",
        { class: "buttons" },
        button(t("page.cancel"), close),
        h("button", { type: "submit", class: "button primary" }, t("tokens.add")),
      ),
    );
  });
}

function once(made) {
  dialog(t("tokens.once"), (close) => {
    const text = h("pre", { class: "code secret", tabindex: "0" }, made.token);
    const copied = h("p", { class: "sub", role: "status" });
    const copy = button(
      t("tokens.copy"),
      async () => {
        // Where the browser lets no page write to the clipboard, the text is marked to be copied.
        try {
          await navigator.clipboard.writeText(made.token);
          replace(copied, t("tokens.copied"));
        } catch {
          getSelection().selectAllChildren(text);
          replace(copied, t("tokens.marked"));
        }
      },
      { kind: "primary" },
    );
    return [
      h("p", null, t("tokens.once-detail", { title: made.title })),
      text,
      copied,
      h("div", { class: "buttons" }, button(t("page.close"), close), copy),
    ];
  });
}

function revoke(token, load) {
  dialog(t("tokens.revoke"), (close) => {
    const fault = h("p", { class: "fault", role: "alert" });
    return [
      h("p", null, t("tokens.revoke-detail", { title: token.title, owner: token.owner })),
      fault,
      h(
        "div",
        { class: "buttons" },
        button(t("page.cancel"), close),
        button(
          t("tokens.revoke"),
          async () => {
            try {
              await ask(`tokens/${token.id}`, { method: "DELETE" });
              close();
              toast(t("tokens.gone", { title: token.title }), "good");
              load(true);
            } catch (problem) {
              replace(fault, problem.message);
            }
          },
          { kind: "primary" },
        ),
      ),
    ];
  });
}
