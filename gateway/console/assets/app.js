// The shell: who is logged in, the navigation of his role, and the page of the address.

import { me, may, onAccount, resume, logOut } from "./api.js";
import { h, icon, replace } from "./dom.js";
import * as live from "./live.js";
import { here, onRoute, go } from "./router.js";
import { language, loadTexts, speak, t } from "./texts.js";
import { failure } from "./ui.js";
import { changePage, loginPage } from "./login.js";

const ORDER = [
  ["overview", "devices"],
  ["flags", "flags"],
  ["devices", "devices"],
  ["sites", "places"],
  ["quarantine", "quarantine"],
  ["quality", "quality"],
  ["reports", "flags", "places", "quality"],
  ["profiles", "profiles"],
  ["ingest", "ingest"],
  ["audit", "audit"],
  ["users", "users"],
];
const ON_PHONE = 4;
const root = document.getElementById("app");
let leave = null;
let main = null;
let shownFor = null;

const pages = () => ORDER.filter(([, ...needs]) => needs.every(may)).map(([name]) => name);
const path = (name) => (name === "overview" ? "/" : `/${name}`);

function setTheme() {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem("theme", next);
  dispatchEvent(new Event("theme"));
}

export function switches() {
  const other = language === "zh" ? "en" : "zh";
  return [
    h(
      "button",
      { type: "button", class: "quiet", lang: other, onclick: () => speak(other) },
      other === "zh" ? "中文" : "English",
    ),
    h(
      "button",
      {
        type: "button",
        class: "quiet icon-only",
        title: t("nav.theme"),
        "aria-label": t("nav.theme"),
        onclick: setTheme,
      },
      icon("moon"),
    ),
  ];
}

function liveMark() {
  const mark = h("span", { class: "live-mark", role: "status" });
  const show = (on) => {
    mark.dataset.on = on;
    mark.textContent = t(on ? "live.on" : "live.off");
  };
  live.on("state", show);
  show(live.isConnected());
  return mark;
}

function navigation() {
  const names = pages();
  const link = (name) =>
    h("a", { href: path(name), "data-page": name }, icon(name), h("span", null, t(`nav.${name}`)));
  const extra = names.slice(ON_PHONE);
  const menu = h("div", { class: "more-menu", hidden: true }, extra.map(link));
  const toggle = h(
    "button",
    {
      type: "button",
      class: "more-toggle",
      "aria-expanded": "false",
      onclick: () => {
        menu.hidden = !menu.hidden;
        toggle.setAttribute("aria-expanded", String(!menu.hidden));
      },
    },
    icon("more"),
    h("span", null, t("nav.more")),
  );
  menu.addEventListener("click", () => {
    menu.hidden = true;
    toggle.setAttribute("aria-expanded", "false");
  });
  return h(
    "nav",
    { class: "nav", "aria-label": t("nav.label") },
    h(
      "a",
      { class: "brand", href: "/" },
      h("span", { class: "brand-mark", "aria-hidden": "true" }),
      h("span", null, t("app.name")),
    ),
    h("div", { class: "nav-links" }, names.map(link)),
    extra.length > 0 && [toggle, menu],
  );
}

function shell() {
  const account = me();
  const scope =
    account.vendor ??
    (account.region ? t("app.region", { region: account.region }) : t("app.everywhere"));
  main = h("main", { class: "main", id: "main" });
  replace(
    root,
    h(
      "a",
      {
        class: "skip",
        href: "#main",
        onclick: (event) => {
          event.preventDefault();
          main.querySelector("h1")?.focus();
        },
      },
      t("nav.skip"),
    ),
    h(
      "div",
      { class: "shell" },
      navigation(),
      h(
        "div",
        { class: "column" },
        h(
          "header",
          { class: "top" },
          h("span", { class: "scope" }, scope),
          liveMark(),
          h(
            "div",
            { class: "top-tools" },
            switches(),
            h("a", { class: "quiet", href: "/account" }, account.name),
            h(
              "button",
              { type: "button", class: "quiet log-out", onclick: logOut },
              t("nav.logout"),
            ),
          ),
        ),
        main,
      ),
    ),
  );
}

const MODULES = {
  overview: () => (me().vendor ? import("./pages/vendor.js") : import("./pages/overview.js")),
  flags: () => import("./pages/flags.js"),
  devices: () => import("./pages/devices.js"),
  sites: () => import("./pages/sites.js"),
  quarantine: () => import("./pages/quarantine.js"),
  quality: () => import("./pages/quality.js"),
  reports: () => import("./pages/reports.js"),
  profiles: () => import("./pages/profiles.js"),
  ingest: () => import("./pages/ingest.js"),
  audit: () => import("./pages/audit.js"),
  users: () => import("./pages/users.js"),
  account: () => import("./pages/account.js"),
};

async function route() {
  leave?.abort();
  leave = new AbortController();
  const { signal } = leave;
  const at = here();
  const name =
    MODULES[at.page] && (at.page === "account" || pages().includes(at.page)) ? at.page : null;
  document.querySelectorAll("[data-page]").forEach((each) => {
    if (each.dataset.page === at.page) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  });
  const host = h("div", { class: `page page-${at.page}` });
  replace(main, host);
  scrollTo(0, 0);
  document.title = `${name ? t(`nav.${name}`) : t("app.name")} · ${t("app.name")}`;
  if (!name) {
    replace(
      host,
      h("h1", { tabindex: "-1" }, t("error.not-found")),
      h("p", null, h("a", { href: "/" }, t("nav.overview"))),
    );
    return;
  }
  try {
    const module = await MODULES[name]();
    if (!signal.aborted)
      await module.show(host, {
        ...at,
        signal,
        off: (undo) => signal.addEventListener("abort", undo),
      });
  } catch (problem) {
    if (problem.name === "AbortError" || signal.aborted) return;
    console.error(problem);
    replace(host, failure(problem, route, true));
  }
}

function draw() {
  const account = me();
  const key = account && `${account.name} ${account.must_change} ${account.permissions}`;
  if (key === shownFor && key !== null) return;
  shownFor = key;
  leave?.abort();
  live.end();
  if (!account) {
    replace(root, loginPage(switches()));
    root.querySelector("input")?.focus();
  } else if (account.must_change) replace(root, changePage(switches()));
  else {
    shell();
    live.begin();
    if (here().page === "overview" && !may("devices")) go("/flags");
    else route();
  }
}

async function begin() {
  await loadTexts();
  document.title = t("app.name");
  onRoute(() => me() && !me().must_change && route());
  onAccount(draw);
  try {
    await resume();
  } catch (problem) {
    replace(
      root,
      h(
        "main",
        { class: "gate" },
        failure(problem, () => location.reload(), true),
      ),
    );
  }
}

begin();
