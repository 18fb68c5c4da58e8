// One's own account: what it may, its password, and its tokens.

import { logOut, me } from "../api.js";
import { h, replace } from "../dom.js";
import { t, word } from "../texts.js";
import { button, card, facts, heading, toast } from "../ui.js";
import { changeForm } from "../login.js";
import { tokens } from "./tokens.js";

export async function show(host, at) {
  const account = me();
  const form = () =>
    changeForm(() => {
      toast(t("account.changed"), "good");
      replace(slot, form());
    });
  const slot = h("div", { class: "narrow-form" });
  const own = tokens(at, account.name);
  replace(slot, form());
  replace(
    host,
    heading(account.name, button(t("nav.logout"), logOut)),
    card(
      null,
      facts([
        [t("users.role"), word("role", account.role)],
        [t("column.region"), account.region || t("app.everywhere")],
        [t("users.vendor"), account.vendor],
        [t("account.may"), account.permissions.map((each) => word("permission", each)).join(" · ")],
      ]),
    ),
    own.node,
    card(t("login.change"), slot),
  );
  await own.load();
}
