// The two pages before all others: logging in, and setting a password of one's own.

import { address, changePassword, logIn, logOut, me } from "./api.js";
import { h, replace } from "./dom.js";
import { t } from "./texts.js";
import { field } from "./ui.js";

function gate(title, lead, form, tools) {
  return h(
    "main",
    { class: "gate" },
    h("div", { class: "gate-tools" }, tools),
    h(
      "div",
      { class: "gate-card" },
      h("span", { class: "brand-mark", "aria-hidden": "true" }),
      h("h1", null, title),
      lead && h("p", { class: "lead" }, lead),
      form,
    ),
    h("p", { class: "gate-foot" }, t("login.foot")),
  );
}

function formOf(fields, label, work) {
  const fault = h("p", { class: "fault", role: "alert" });
  const send = h("button", { type: "submit", class: "button primary wide" }, label);
  return h(
    "form",
    {
      class: "form",
      onsubmit: async (event) => {
        event.preventDefault();
        send.disabled = true;
        replace(fault);
        try {
          await work();
        } catch (problem) {
          replace(fault, told(problem));
          send.disabled = false;
        }
      },
    },
    fields,
    fault,
    send,
  );
}

function told(problem) {
  if (problem instanceof TypeError) return t("error.offline");
  if (problem.kind === "login-refused") return t("login.refused");
  if (problem.kind === "throttled" || problem.kind === "too-many-requests")
    return t("login.throttled");
  return problem.message;
}

const secret = (name) =>
  h("input", { type: "password", required: true, autocomplete: name, maxlength: "256" });

export function loginPage(tools) {
  const name = h("input", {
    required: true,
    autocomplete: "username",
    autocapitalize: "none",
    spellcheck: "false",
    maxlength: "64",
  });
  const password = secret("current-password");
  const fields = [field(t("login.name"), name), field(t("login.password"), password)];
  const form = formOf(fields, t("login.enter"), () => logIn(name.value, password.value));
  const provider = "singleSignOn" in document.documentElement.dataset;
  const link = h(
    "a",
    {
      class: "button wide",
      href: address("session/oidc", { back_to: location.pathname + location.search }),
    },
    t("login.provider"),
  );
  return gate(
    t("login.title"),
    null,
    provider ? h("div", { class: "form" }, link, form) : form,
    tools,
  );
}

export function changePage(tools) {
  const leave = h(
    "button",
    { type: "button", class: "quiet wide", onclick: logOut },
    t("nav.logout"),
  );
  return gate(
    t("login.change"),
    t("login.change-lead"),
    h("div", null, changeForm(), leave),
    tools,
  );
}

// Also on the page of one's own account.
export function changeForm(done) {
  const old = secret("current-password");
  const chosen = secret("new-password");
  chosen.minLength = 12;
  const repeated = secret("new-password");
  const owner = h("input", {
    class: "hidden",
    autocomplete: "username",
    value: me().name,
    tabindex: "-1",
    "aria-hidden": "true",
    readonly: true,
  });
  const fields = [
    owner,
    field(t("login.old"), old),
    field(t("login.new"), chosen, t("login.rule")),
    field(t("login.repeat"), repeated),
  ];
  return formOf(fields, t("login.set"), async () => {
    if (chosen.value !== repeated.value) throw new Error(t("login.differ"));
    await changePassword(old.value, chosen.value);
    done?.();
  });
}
