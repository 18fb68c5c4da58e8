// The catalogue of profiles; a page to try a message on one.

import { ask } from "../api.js";
import { h, replace } from "../dom.js";
import { count, kind, title } from "../format.js";
import { note } from "../router.js";
import { t } from "../texts.js";
import {
  button,
  card,
  crumbs,
  empty,
  facts,
  failure,
  field,
  filled,
  filterForm,
  heading,
  search,
  select,
  table,
} from "../ui.js";
import { stagesView } from "./evidence.js";

export async function show(host, at) {
  if (at.rest.length) return showProfile(host, at, at.rest[0]);
  const body = h("div");
  const chosen = { text: at.query.get("text") ?? "", kind: at.query.get("kind") ?? "" };
  const { items } = await ask("profiles", { signal: at.signal });
  const kinds = [...new Set(items.map((each) => each.kind))].sort();
  const draw = () => {
    const text = chosen.text.toLowerCase();
    const found = items.filter(
      (each) =>
        (!chosen.kind || each.kind === chosen.kind) &&
        (!text || JSON.stringify(each).toLowerCase().includes(text)),
    );
    replace(
      body,
      h("p", { class: "sub" }, t("profiles.count", { count: count(found.length) })),
      found.length ? rows(found) : empty(t("profiles.none")),
    );
  };
  const change = (name) => (value) => {
    chosen[name] = value;
    note(chosen);
    draw();
  };
  replace(
    host,
    heading(t("nav.profiles")),
    filterForm(
      search(t("filter.text"), chosen.text, change("text")),
      select(
        t("filter.kind"),
        chosen.kind,
        [["", t("filter.any")], ...kinds.map((each) => [each, kind(each)])],
        change("kind"),
      ),
    ),
    body,
  );
  draw();
}

function rows(items) {
  return table(
    [
      {
        title: t("column.profile"),
        class: "grow",
        cell: (p) => [
          h(
            "a",
            { class: "strong", href: `/profiles/${encodeURIComponent(p.name)}` },
            title(p.title, p.name),
          ),
          h("div", { class: "sub" }, p.id),
        ],
      },
      { title: t("column.kind"), cell: (p) => kind(p.kind) },
      {
        title: t("profiles.models"),
        class: "grow",
        cell: (p) =>
          p.models
            .map((each) => `${each.vendor} ${each.model}`)
            .slice(0, 4)
            .join(", ") + (p.models.length > 4 ? " …" : ""),
      },
      { title: t("profiles.protocol"), cell: (p) => p.protocol },
    ],
    items,
    { caption: t("nav.profiles") },
  );
}

async function showProfile(host, at, name) {
  const path = `profiles/${encodeURIComponent(name)}`;
  const told = await ask(path, { signal: at.signal });
  const trial = h("div");
  replace(
    host,
    crumbs("/profiles", t("nav.profiles")),
    heading(title(told.title, told.name)),
    card(
      null,
      facts([
        [t("column.profile"), told.id],
        [t("column.kind"), kind(told.kind)],
        [t("profiles.protocol"), told.protocol],
        [
          t("profiles.models"),
          told.models.map((each) => `${each.vendor} ${each.model}`).join(", "),
        ],
        ["SHA-256", h("code", { class: "wrap" }, told.sha256)],
      ]),
    ),
    trial,
    card(
      null,
      h(
        "details",
        null,
        h("summary", null, t("profiles.source")),
        h("pre", { class: "code", tabindex: "0" }, told.source),
      ),
    ),
  );
  await filled(
    trial,
    async () => {
      const { items } = await ask(`${path}/vectors`, { signal: at.signal });
      return trialView(path, items);
    },
    { lines: 6 },
  );
}

function trialView(path, vectors) {
  const topic = h("input", {
    value: vectors[0]?.topic ?? "",
    spellcheck: "false",
    maxlength: "1024",
  });
  const payload = h("textarea", { rows: 8, spellcheck: "false", class: "mono" });
  const isHex = h("input", { type: "checkbox" });
  const result = h("div", { role: "status" });
  const fill = (vector) => {
    if (!vector) return;
    topic.value = vector.topic;
    payload.value = vector.payload ?? vector.payload_hex;
    isHex.checked = vector.payload === undefined;
  };
  fill(vectors[0]);
  const choices = vectors.map((each, place) => [
    String(place),
    `${each.label}${each.note ? ` · ${each.note.slice(0, 60)}` : ""}`,
  ]);
  const run = button(
    t("profiles.run"),
    async () => {
      run.disabled = true;
      try {
        const body = {
          topic: topic.value || null,
          [isHex.checked ? "payload_hex" : "payload"]: payload.value,
        };
        replace(result, stagesView(await ask(`${path}/trial`, { body })));
      } catch (problem) {
        replace(result, failure(problem));
      }
      run.disabled = false;
    },
    { kind: "primary" },
  );
  return card(
    t("profiles.try"),
    h("p", { class: "sub" }, t("profiles.try-detail")),
    h(
      "div",
      { class: "trial" },
      h(
        "div",
        { class: "form" },
        choices.length > 0 &&
          select(t("profiles.vector"), "0", choices, (place) => fill(vectors[Number(place)])),
        field(t("evidence.topic"), topic),
        field(t("evidence.payload"), payload),
        h("label", { class: "check" }, isHex, t("profiles.is-hex")),
        h("div", null, run),
      ),
      result,
    ),
  );
}
