// Accounts: made, changed, disabled; a one-time password is shown once. And all of their tokens.

import { ask, me } from "../api.js";
import { h, replace } from "../dom.js";
import { time } from "../format.js";
import { t, word } from "../texts.js";
import { button, dialog, empty, field, filled, heading, select, table } from "../ui.js";
import { tokens } from "./tokens.js";

const ROLES = ["viewer", "inspector", "administrator", "vendor", "auditor"];

export async function show(host, at) {
  const body = h("div", { class: "parted" });
  const held = tokens(at);
  const load = () =>
    filled(
      body,
      async () => {
        const { items } = await ask("users", { signal: at.signal });
        return items.length ? rows(items, load) : empty(t("users.none"));
      },
      { lines: 6 },
    );
  replace(
    host,
    heading(
      t("nav.users"),
      button(t("users.add"), () => form(null, load), { kind: "primary" }),
    ),
    body,
    held.node,
  );
  await Promise.all([load(), held.load()]);
}

function rows(items, load) {
  return table(
    [
      {
        title: t("login.name"),
        class: "grow",
        cell: (u) => [
          h("span", { class: "strong" }, u.name),
          u.must_change && h("div", { class: "sub" }, t("users.must-change")),
        ],
      },
      { title: t("users.role"), cell: (u) => word("role", u.role) },
      { title: t("users.scope"), cell: (u) => u.vendor ?? (u.region || t("app.everywhere")) },
      {
        title: t("column.state"),
        cell: (u) =>
          h(
            "span",
            { class: u.disabled ? "bad-text" : "good-text" },
            t(u.disabled ? "users.disabled" : "users.enabled"),
          ),
      },
      { title: t("users.seen"), class: "when", cell: (u) => time(u.seen_at) },
      {
        title: "",
        class: "narrow",
        cell: (u) =>
          u.name !== me().name &&
          h(
            "div",
            { class: "row-buttons" },
            button(t("users.change"), () => form(u, load)),
            button(t("users.reset"), () => reset(u)),
          ),
      },
    ],
    items,
    { caption: t("nav.users") },
  );
}

function once(name, password) {
  dialog(t("users.one-time"), (close) => [
    h("p", null, t("users.one-time-detail", { name })),
    h("pre", { class: "code", tabindex: "0" }, password),
    h("div", { class: "buttons" }, button(t("page.close"), close, { kind: "primary" })),
  ]);
}

function reset(user) {
  dialog(t("users.reset"), (close) => {
    const fault = h("p", { class: "fault", role: "alert" });
    return [
      h("p", null, t("users.reset-detail", { name: user.name })),
      fault,
      h(
        "div",
        { class: "buttons" },
        button(t("page.cancel"), close),
        button(
          t("users.reset"),
          async () => {
            try {
              const told = await ask(`users/${encodeURIComponent(user.name)}/password`, {
                method: "POST",
              });
              close();
              once(user.name, told.one_time_password);
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

function form(user, load) {
  dialog(t(user ? "users.change" : "users.add"), (close) => {
    const name = h("input", {
      required: true,
      value: user?.name ?? "",
      disabled: Boolean(user),
      autocomplete: "off",
      maxlength: "64",
    });
    const region = h("input", {
      value: user?.region ?? me().region ?? "",
      maxlength: "6",
      inputmode: "numeric",
    });
    const vendor = h("input", { value: user?.vendor ?? "", maxlength: "200" });
    const bySingleSignOn = h("input", { type: "checkbox" });
    const disabled = h("input", { type: "checkbox", checked: user?.disabled ?? false });
    const fault = h("p", { class: "fault", role: "alert" });
    let role = user?.role ?? "inspector";
    return h(
      "form",
      {
        class: "form",
        onsubmit: async (event) => {
          event.preventDefault();
          const told = {
            role,
            region: region.value.trim(),
            vendor: role === "vendor" ? vendor.value.trim() : null,
          };
          try {
            if (user)
              await ask(`users/${encodeURIComponent(user.name)}`, {
                method: "PATCH",
                body: { ...told, disabled: disabled.checked },
              });
            const made = user
              ? null
              : await ask("users", {
                  body: {
                    ...told,
                    name: name.value.trim(),
                    single_sign_on: bySingleSignOn.checked,
                  },
                });
            close();
            load();
            if (made?.one_time_password) once(made.name, made.one_time_password);
          } catch (problem) {
            replace(fault, problem.message);
          }
        },
      },
      field(t("login.name"), name),
      select(
        t("users.role"),
        role,
        ROLES.map((each) => [each, word("role", each)]),
        (value) => (role = value),
      ),
      field(t("users.region"), region, t("users.region-hint")),
      field(t("users.vendor"), vendor, t("users.vendor-hint")),
      !user &&
        "singleSignOn" in document.documentElement.dataset &&
        h("label", { class: "check" }, bySingleSignOn, t("users.sso")),
      user && h("label", { class: "check" }, disabled, t("users.disabled")),
      fault,
      h(
        "div",
        { class: "buttons" },
        button(t("page.cancel"), close),
        h("button", { type: "submit", class: "button primary" }, t("users.save")),
      ),
    );
  });
}
