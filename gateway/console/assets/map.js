// Where devices are, on a plain projection: no tiles, clusters as large as what they hold.

import { ask } from "./api.js";
import { h, replace, s } from "./dom.js";
import { count } from "./format.js";
import { go } from "./router.js";
import { t } from "./texts.js";
import { button, empty, filled } from "./ui.js";

const [WIDTH, HEIGHT] = matchMedia("(max-width: 760px)").matches ? [400, 400] : [720, 510];
const MARGIN = 46;
const FULL = 60;
const STEPS = [10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01];

// Equirectangular, with degrees of longitude as long as they are at the middle latitude.
function projection(clusters) {
  const xs = clusters.map((each) => each.longitude);
  const ys = clusters.map((each) => each.latitude);
  const west = Math.min(...xs),
    east = Math.max(...xs),
    south = Math.min(...ys),
    north = Math.max(...ys);
  const shrink = Math.cos((((south + north) / 2) * Math.PI) / 180);
  const scale = Math.min(
    (WIDTH - 2 * MARGIN) / Math.max((east - west) * shrink, 0.02),
    (HEIGHT - 2 * MARGIN) / Math.max(north - south, 0.02),
  );
  const middle = [(west + east) / 2, (south + north) / 2];
  const half = [WIDTH / 2 / scale / shrink, HEIGHT / 2 / scale];
  return {
    x: (longitude) => WIDTH / 2 + (longitude - middle[0]) * shrink * scale,
    y: (latitude) => HEIGHT / 2 - (latitude - middle[1]) * scale,
    west: middle[0] - half[0],
    east: middle[0] + half[0],
    south: middle[1] - half[1],
    north: middle[1] + half[1],
    km: (111.32 * HEIGHT) / scale / HEIGHT,
  };
}

function grid(to) {
  const step = STEPS.findLast((each) => (to.east - to.west) / each <= WIDTH / 90) ?? 10;
  const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  const made = [];
  for (let at = Math.ceil(to.west / step); at * step < to.east; at += 1) {
    const x = to.x(at * step);
    made.push(
      s("line", { x1: x, x2: x, y1: 0, y2: HEIGHT }),
      s("text", { x: x + 3, y: HEIGHT - 6 }, `${(at * step).toFixed(digits)}°`),
    );
  }
  for (let at = Math.ceil(to.south / step); at * step < to.north; at += 1) {
    const y = to.y(at * step);
    made.push(
      s("line", { x1: 0, x2: WIDTH, y1: y, y2: y }),
      s("text", { x: 4, y: y - 4 }, `${(at * step).toFixed(digits)}°`),
    );
  }
  return s("g", { class: "graticule", "aria-hidden": "true" }, made);
}

export async function mapView(host, at, query = {}) {
  const history = [];
  async function draw(bounds, quiet) {
    await filled(
      host,
      async () => {
        const told = await ask("map", {
          query: { ...query, ...bounds, cells: 28 },
          signal: at.signal,
        });
        if (!told.clusters.length) return empty(t("map.none"), t("map.none-detail"));
        const to = projection(told.clusters);
        const most = Math.max(...told.clusters.map((each) => each.devices));
        const spots = told.clusters
          .toSorted((a, b) => b.devices - a.devices)
          .map((each) => spot(each, to, most, told.cell_deg, bounds));
        return [
          s(
            "svg",
            {
              class: "map",
              viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
              role: "group",
              "aria-label": t("map.label"),
            },
            grid(to),
            spots,
          ),
          h(
            "div",
            { class: "map-foot" },
            h("span", { class: "legend good" }, t("map.good")),
            h("span", { class: "legend bad" }, t("map.flagged")),
            h("span", { class: "legend silent" }, t("map.silent")),
            told.unplaced > 0 &&
              h("span", { class: "sub" }, t("map.unplaced", { count: count(told.unplaced) })),
            history.length > 0 && button(t("map.out"), () => draw(history.pop())),
          ),
        ];
      },
      { lines: 1, tall: true, quiet },
    );
  }

  function spot(each, to, most, cell, bounds) {
    const radius = 6 + 20 * Math.sqrt(each.devices / Math.max(most, FULL));
    const label = each.device_id
      ? t("map.device", { device: each.device_id, flags: count(each.flags) })
      : t("map.cluster", {
          devices: count(each.devices),
          flagged: count(each.flagged),
          silent: count(each.silent),
        });
    const open = () => {
      if (each.device_id) return go(`/devices/${encodeURIComponent(each.device_id)}`);
      // Around the mean of a cell lies all of it, within the width of a cell.
      const inner = {
        west: each.longitude - cell,
        east: each.longitude + cell,
        south: each.latitude - cell,
        north: each.latitude + cell,
      };
      if (cell <= 0.011) return go(`/devices`);
      history.push(bounds);
      return draw(inner);
    };
    const x = to.x(each.longitude),
      y = to.y(each.latitude);
    const share = each.flagged / each.devices;
    return s(
      "g",
      {
        class: `spot ${each.silent === each.devices ? "silent" : ""}`,
        tabindex: "0",
        role: "button",
        "aria-label": label,
        onclick: open,
        onkeydown: (event) =>
          (event.key === "Enter" || event.key === " ") && (event.preventDefault(), open()),
      },
      s("title", null, label),
      s("circle", { cx: x, cy: y, r: radius, class: "body" }),
      share > 0 &&
        (share >= 0.999
          ? s("circle", { cx: x, cy: y, r: radius, class: "flagged-ring" })
          : s("path", { d: arc(x, y, radius, share), class: "flagged-ring" })),
      each.devices > 1 &&
        radius > 10 &&
        s(
          "text",
          { x, y: y + 4, "text-anchor": "middle", "aria-hidden": "true" },
          count(each.devices),
        ),
    );
  }
  await draw(undefined, false);
  const again = setInterval(
    () =>
      !document.hidden &&
      !history.length &&
      !host.contains(document.activeElement) &&
      draw(undefined, true),
    60_000,
  );
  at.off(() => clearInterval(again));
}

function arc(x, y, r, share) {
  const end = -Math.PI / 2 + 2 * Math.PI * share;
  return `M ${x} ${y - r} A ${r} ${r} 0 ${share > 0.5 ? 1 : 0} 1 ${x + r * Math.cos(end)} ${y + r * Math.sin(end)}`;
}
