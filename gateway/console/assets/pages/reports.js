// A district's weeks and months on paper: HTML to look at, PDF to print and to keep.

import { me } from "../api.js";
import { h, replace } from "../dom.js";
import { day } from "../format.js";
import { note } from "../router.js";
import { language, t } from "../texts.js";
import { card, field, filled, filterForm, heading, table } from "../ui.js";
import { lastDay } from "./quality.js";

const MONTHS = 6;
const WEEKS = 8;
const DAY = 86400e3;
const REGION = "[1-9][0-9]([0-9][0-9]){0,2}";

export async function show(host, at) {
  const scope = me().region;
  const chosen = { region: at.query.get("region") ?? scope ?? "" };
  const months = h("div");
  const weeks = h("div");
  let latest = day(new Date().toISOString());
  const draw = () => {
    replace(months, periods("month", t("reports.month"), monthsTo(latest), chosen.region));
    replace(weeks, periods("week", t("reports.week"), weeksTo(latest), chosen.region));
  };
  const region = h("input", {
    value: chosen.region,
    inputmode: "numeric",
    autocomplete: "off",
    pattern: REGION,
    maxlength: 6,
    oninput: () => {
      const good = region.checkValidity() && region.value.startsWith(scope ?? "");
      region.setAttribute("aria-invalid", String(!good));
      if (!good) return;
      chosen.region = region.value;
      note(chosen);
      draw();
    },
  });
  replace(
    host,
    heading(t("nav.reports")),
    h("p", { class: "lead" }, t("reports.lead")),
    filterForm(field(t("column.region"), region, t("reports.region"))),
    h(
      "div",
      { class: "columns" },
      card(t("reports.months"), months),
      card(t("reports.weeks"), weeks),
    ),
  );
  await filled(months, async () => {
    latest = await lastDay(at);
    draw();
    return [...months.children];
  });
}

// What opens a report in the language of the page, in a tab of its own.
export function opening(path, query) {
  const link = (format, label) => {
    const asked = new URLSearchParams({ ...query, language, format });
    return h(
      "a",
      {
        class: "button",
        href: `/api/v1/${path}?${asked}`,
        target: "_blank",
        rel: "noopener",
      },
      label,
    );
  };
  return h(
    "span",
    { class: "buttons" },
    link("pdf", t("reports.pdf")),
    link("html", t("reports.html")),
  );
}

function periods(kind, title, names, region) {
  const asked = region ? { region } : {};
  return table(
    [
      {
        title,
        class: "grow",
        cell: ([name, since, until]) => [
          h("span", { class: "strong" }, name),
          h("div", { class: "sub" }, `${since} – ${until}`),
        ],
      },
      {
        title: t("reports.open"),
        class: "narrow",
        cell: ([name]) => opening("report", { ...asked, [kind]: name }),
      },
    ],
    names,
    { caption: title },
  );
}

const iso = (at) => new Date(at).toISOString().slice(0, 10);

// Months up to the one that holds a day, the newest first: name, first and last day.
function monthsTo(latest) {
  const [year, month] = latest.split("-").map(Number);
  return Array.from({ length: MONTHS }, (_, back) => {
    const first = Date.UTC(year, month - 1 - back, 1);
    const last = Date.UTC(year, month - back, 1) - DAY;
    return [iso(first).slice(0, 7), iso(first), iso(last)];
  });
}

// Weeks of ISO 8601: the year of a week is the one that its Thursday lies in.
function weeksTo(latest) {
  const at = Date.parse(`${latest}T00:00:00Z`);
  const monday = at - ((new Date(at).getUTCDay() + 6) % 7) * DAY;
  return Array.from({ length: WEEKS }, (_, back) => {
    const first = monday - back * 7 * DAY;
    const thursday = new Date(first + 3 * DAY);
    const begin = Date.UTC(thursday.getUTCFullYear(), 0, 1);
    const number = 1 + Math.floor((thursday.getTime() - begin) / (7 * DAY));
    const name = `${thursday.getUTCFullYear()}-W${String(number).padStart(2, "0")}`;
    return [name, iso(first), iso(first + 6 * DAY)];
  });
}
