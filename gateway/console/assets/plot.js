// Plots over time by uPlot: lines with the band between minimum and maximum, what was expected, what was not.

import { h } from "./dom.js";
import { clock, number, unit } from "./format.js";

const LINES = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6"];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const seconds = (at) => Date.parse(at) / 1000;
const strokeOf = (line, place) => colour(line.colour ?? LINES[place % LINES.length]);

function columns(lines) {
  const tables = lines.map((line) => [line.at.map(seconds), line.mean, line.min, line.max]);
  return tables.length === 1 ? tables[0] : uPlot.join(tables);
}

function seriesOf(lines) {
  const many = lines.length > 1;
  return lines.flatMap((line, place) => {
    const stroke = strokeOf(line, place);
    const told = (u, value) =>
      value === null || value === undefined ? "–" : `${number(value)} ${unit(line.unit)}`;
    const mean = {
      label: line.label,
      stroke,
      width: line.dash ? 1 : 1.6,
      dash: line.dash,
      value: told,
      points: {
        show: line.dash ? false : line.at.length < 120 || undefined,
        size: 5,
        fill: stroke,
      },
    };
    const edge = { stroke: "transparent", points: { show: false }, label: "" };
    return many ? [mean, { ...edge }, { ...edge }] : [mean, { ...edge }, { ...edge }];
  });
}

const bandsOf = (lines) =>
  lines.map((line, place) => ({
    series: [3 * place + 3, 3 * place + 2],
    fill: `${strokeOf(line, place)}2e`,
  }));

// What is drawn over the lines: from when to when, the values that are right, what was seen.
function drawMarks(u, marks) {
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  const across = (value) => Math.min(Math.max(u.valToPos(value, "y", true), top), top + height);
  const along = (at) => Math.min(Math.max(u.valToPos(seconds(at), "x", true), left), left + width);
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  for (const each of [...(marks.from ? [marks] : []), ...(marks.spans ?? [])]) {
    const begin = along(each.from);
    ctx.fillStyle = `${colour("--bad")}1f`;
    ctx.fillRect(begin - 1, top, Math.max(along(each.to) - begin, 2) + 2, height);
  }
  for (const each of marks.ticks ?? []) {
    const at = along(each.at);
    const size = 5 * devicePixelRatio;
    ctx.fillStyle = colour(`--${each.severity}`);
    ctx.beginPath();
    ctx.moveTo(at - size, top + height);
    ctx.lineTo(at + size, top + height);
    ctx.lineTo(at, top + height - 1.6 * size);
    ctx.fill();
  }
  drawMoments(ctx, marks.moments ?? [], along, u.bbox);
  if (marks.low !== undefined) {
    const upper = across(marks.high);
    ctx.fillStyle = `${colour("--good")}26`;
    ctx.fillRect(left, upper, width, Math.max(across(marks.low) - upper, 2));
    ctx.strokeStyle = colour("--good");
    ctx.setLineDash([6, 4]);
    ctx.lineWidth = devicePixelRatio;
    for (const value of new Set([marks.low, marks.high])) {
      ctx.beginPath();
      ctx.moveTo(left, across(value));
      ctx.lineTo(left + width, across(value));
      ctx.stroke();
    }
  }
  if (marks.observed !== undefined) {
    ctx.setLineDash([]);
    ctx.strokeStyle = colour("--bad");
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.beginPath();
    ctx.arc(along(marks.at), across(marks.observed), 6 * devicePixelRatio, 0, 7);
    ctx.stroke();
  }
  ctx.restore();
}

// Something that happened at a time, with a word above: a delivery.
function drawMoments(ctx, moments, along, { left, top, width, height }) {
  ctx.save();
  ctx.strokeStyle = colour("--info");
  ctx.fillStyle = colour("--info");
  ctx.lineWidth = devicePixelRatio;
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  let free = -Infinity;
  for (const each of moments) {
    const at = along(each.at);
    ctx.beginPath();
    ctx.moveTo(at, top + 16 * devicePixelRatio);
    ctx.lineTo(at, top + height);
    ctx.stroke();
    const half = ctx.measureText(each.label).width / 2;
    const centre = Math.min(Math.max(at, left + half), left + width - half);
    if (centre - half < free) continue;
    ctx.fillText(each.label, centre, top + 11 * devicePixelRatio);
    free = centre + half + 6 * devicePixelRatio;
  }
  ctx.restore();
}

function range(marks) {
  return (u, least, most) => {
    if (least === null) return [0, 1];
    let low = least;
    let high = most;
    for (const value of [marks.low, marks.high, marks.observed]) {
      if (value === undefined) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    const pad = (high - low) * 0.08 || Math.abs(high) * 0.02 || 1;
    return [low - pad, high + pad];
  };
}

/*
 * A plot in `host`.
 * lines: [{label, unit, at, mean, min, max}], times RFC 3339.
 * A line may have a `colour` (the name of one of the sheet) and a `dash`; `apart: true` tells its
 * bounds beside the others, as a tolerance does.
 * marks.spans: [{from, to}] that are shaded; marks.moments: [{at, label}] with a line across;
 * marks.ticks: [{at, severity}] that stand on the axis.
 * extent: from when to when the axis goes, in ms; without, where there are readings.
 * zoomed: called with two times (ms) when a span is chosen, with none to see all again.
 */
export function plot(host, lines, { height = 220, marks = {}, zoomed, sync, label, extent } = {}) {
  const axis = () => ({
    stroke: colour("--faint"),
    grid: { stroke: colour("--grid"), width: 1 },
    ticks: { stroke: colour("--grid"), width: 1 },
    font: "12px system-ui, sans-serif",
  });
  const frame = h("div", {
    class: "plot",
    role: "img",
    "aria-label": label,
    style: { height: `${height}px` },
  });
  host.append(frame);
  const options = () => ({
    width: Math.max(frame.clientWidth, 120),
    height,
    scales: {
      x: { time: true, ...(extent ? { range: () => extent.map((at) => at / 1000) } : {}) },
      y: { range: range(marks) },
    },
    series: [
      { label: "", value: (u, at) => (at === null ? "–" : clock(at * 1000)) },
      ...seriesOf(lines),
    ],
    bands: bandsOf(lines),
    axes: [
      { ...axis(), values: stamps },
      {
        ...axis(),
        size: (u, values) =>
          Math.max(46, 14 + 7 * Math.max(0, ...(values ?? []).map((v) => v.length))),
        space: 26,
        values: (u, values) => values.map((v) => number(v)),
      },
    ],
    cursor: {
      drag: { x: true, y: false },
      sync: sync ? { key: sync } : undefined,
      points: { size: 7 },
    },
    legend: { show: false },
    hooks: {
      draw: [(u) => drawMarks(u, marks)],
      setCursor: [tell],
      setSelect: [
        (u) => {
          if (u.select.width < 6) return;
          zoomed?.(
            u.posToVal(u.select.left, "x") * 1000,
            u.posToVal(u.select.left + u.select.width, "x") * 1000,
          );
        },
      ],
      ready: [(u) => u.over.addEventListener("dblclick", () => zoomed?.())],
    },
  });
  const note = h("div", { class: "plot-note", hidden: true });
  function tell(u) {
    const place = u.cursor.idx;
    note.hidden = place === null || place === undefined;
    if (note.hidden) return;
    const values = lines
      .map((line, i) => [line, u.data[3 * i + 1]?.[place], i])
      .filter(([, v]) => v !== null && v !== undefined);
    note.textContent = `${clock(u.data[0][place] * 1000)}  ${values.map(([line, v, i]) => `${lines.length > 1 ? `${line.label} ` : ""}${line.apart ? [2, 3].map((edge) => number(u.data[3 * i + edge][place], 2)).join(" … ") : number(v)} ${unit(line.unit)}`).join("  ")}`;
  }
  let made = null;
  function draw() {
    made?.destroy();
    made = new uPlot(options(), columns(lines), frame);
    frame.append(note);
  }
  draw();
  const watcher = new ResizeObserver(() => {
    if (frame.clientWidth && Math.abs(frame.clientWidth - made.width) > 2)
      made.setSize({ width: frame.clientWidth, height });
  });
  watcher.observe(frame);
  addEventListener("theme", draw);
  return () => {
    watcher.disconnect();
    removeEventListener("theme", draw);
    made.destroy();
    frame.remove();
  };
}

// Labels of the time axis in one order of day and time, whatever the locale.
function stamps(u, values) {
  const step = values.length > 1 ? values[1] - values[0] : 0;
  let before = "";
  return values.map((at) => {
    const text = clock(at * 1000, step < 60);
    const day = text.slice(5, 10);
    if (step >= 86400 * 27) return text.slice(0, 7);
    if (step >= 86400) return day;
    const shown = day === before ? text.slice(11) : `${text.slice(11)}\n${day}`;
    before = day;
    return shown;
  });
}

// The lines of one quantity of `series`, a channel each.
export function linesOf(told, name) {
  return told.series
    .filter((each) => each.quantity === name)
    .map((each) => ({ ...each, label: each.channel ?? "" }));
}
