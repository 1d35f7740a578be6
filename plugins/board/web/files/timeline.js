// The time line: what happened in the last hour, each at its time, in a line of its state; of less
// than an hour, while nothing older is known. What is close together is one mark with its number. A
// mark can be chosen: then only what happened in that time is listed.

import { byId, svg, setText } from "./dom.js";
import { plural, stamp } from "./format.js";
import { placed } from "./icons.js";

const minute = 60e3; // ms
const spans = [5, 15, 30, 60].map((n) => n * minute);
const [lineHeight, axis, markWidth, edge] = [18, 16, 30, 28];
const lines = ["ACTIVE", "SUSPENDED", "INACTIVE", "removed"];
const steps = [5, 10, 30, 60, 120, 300, 600].map((s) => s * 1000); // that marks may stand for
const rules = [1, 2, 5, 10, 20].map((n) => n * minute); // between two lines with their time

let key = "";
let width = 0;
let onPeriod = () => {};

// make prepares the drawing; choose is called with the time that is chosen, or nothing.
export function make(choose, redraw) {
  onPeriod = choose;
  const box = byId("timeline");
  new ResizeObserver(() => { width = box.clientWidth; redraw(); }).observe(box);
  width = box.clientWidth;
  box.addEventListener("keydown", move);
}

// lineOf is in which line a change stands; "": in none, for the state is the same.
export function lineOf(entry) {
  if (entry.change === "REMOVED") return "removed";
  return entry.change === "ATTRIBUTES_CHANGED" ? "" : lines.includes(entry.to) ? entry.to : "";
}

const kindOf = (entry, line) => (line === "INACTIVE" && entry.cause?.kind === "drained" ? "drained" : line);

// marksOf puts changes that are less than a step apart together.
export function marksOf(changes, from, step) {
  const marks = new Map();
  for (const entry of changes) {
    const line = lineOf(entry);
    if (!line || !(entry.at >= from)) continue;
    const begin = Math.floor(entry.at / step) * step;
    const id = `${line}/${begin}`;
    const mark = marks.get(id);
    if (mark) {
      mark.n++;
      mark.names.add(entry.serName);
      mark.before &&= entry.before;
    } else {
      marks.set(id, { id, line, kind: kindOf(entry, line), begin, end: begin + step, at: entry.at, n: 1, names: new Set([entry.serName]), before: entry.before });
    }
  }
  return [...marks.values()].sort((a, b) => a.begin - b.begin || lines.indexOf(a.line) - lines.indexOf(b.line));
}

// show draws the last hour before now; known is since when changes are known.
export function show(changes, { now, known, from, to }) {
  if (!Number.isFinite(now) || width < 100) return;
  const left = width < 500 ? 28 : 104;
  const room = width - left - edge;
  const span = spanOf(changes, now, known);
  const begin = now - span;
  const x = (t) => left + (Math.min(Math.max(t, begin), now) - begin) / span * room;
  const step = steps.find((s) => s / span * room >= markWidth) ?? steps.at(-1);
  const marks = marksOf(changes, begin, step);
  const next = JSON.stringify([width, Math.round(x(now - now % step)), Math.floor(now / step), Math.round(x(known || begin)), from, to, marks.map((m) => [m.id, m.n, m.kind, m.before])]);
  if (next === key) return;
  key = next;
  const height = lines.length * lineHeight;
  const picture = svg("svg", { width, height: height + axis, viewBox: `0 0 ${width} ${height + axis}`, role: "group", "aria-label": describe(marks, span) },
    known > begin ? svg("rect", { class: "unknown", x: left, y: 0, width: Math.max(0, x(known) - left), height }, svg("title", {}, `What happened before ${stamp(known).slice(0, 8)} is not known here; hollow marks are the last change of a service`)) : "",
    x(known || 0) - left > 240 ? svg("text", { class: "hour", x: left + 8, y: height - lineHeight + 4 }, `not known here: before ${stamp(known).slice(0, 8)}`) : "",
    from ? svg("rect", { class: "period", x: x(from), y: 0, width: Math.max(2, x(to) - x(from)), height }) : "",
    ...lines.flatMap((line, i) => lane(line, i, left, width)), ...ticks(begin, now, x, height, room),
    ...marks.map((m) => drawn(m, x, m.begin === from)));
  const box = byId("timeline");
  const focused = box.contains(document.activeElement) ? document.activeElement.dataset.mark : "";
  box.replaceChildren(picture);
  const all = [...box.querySelectorAll("[data-mark]")];
  const at = all.find((e) => e.dataset.mark === focused) ?? all.at(-1);
  if (at) at.setAttribute("tabindex", "0");
  if (focused && at) at.focus();
}

// spanOf is how far back it is drawn: an hour, or as far as something is known.
export function spanOf(changes, now, known) {
  const oldest = changes.reduce((t, c) => (c.at >= now - spans.at(-1) ? Math.min(t, c.at) : t), known || 0);
  return spans.find((s) => oldest >= now - s) ?? spans.at(-1);
}

function describe(marks, span) {
  const of = (line) => marks.reduce((n, m) => n + (m.line === line ? m.n : 0), 0);
  return `The last ${span / minute} minutes: ${lines.map((line) => `${of(line)} ${line}`).join(", ")}. The list below has each.`;
}

function lane(line, i, left, width) {
  const y = i * lineHeight + lineHeight / 2;
  return [svg("line", { class: "lane", x1: left, x2: width - edge, y1: y, y2: y }), svg("g", { class: "of", "data-state": line }, placed(line, 4, y - 6.5), left > 60 ? svg("text", { x: 22, y: y + 4 }, line) : "")];
}

function ticks(begin, now, x, height, room) {
  const every = rules.find((r) => r / (now - begin) * room >= 90) ?? rules.at(-1);
  const out = [];
  for (let t = Math.ceil(begin / every) * every; t <= now; t += every) {
    const clock = stamp(t).slice(0, 5);
    out.push(svg("line", { class: "tick", x1: x(t), x2: x(t), y1: 0, y2: height + 3 }), svg("text", { class: "hour", x: x(t), y: height + axis - 3, "text-anchor": x(now) - x(t) < 18 ? "end" : "middle" }, clock));
  }
  return out;
}

function drawn(m, x, chosen) {
  const at = m.n === 1 ? x(m.at) : (x(m.begin) + x(m.end)) / 2;
  const y = lines.indexOf(m.line) * lineHeight;
  const picture = placed(m.kind, at - (m.n > 1 ? 12 : 6.5), y + 2.5);
  const names = [...m.names].slice(0, 5).join(", ") + (m.names.size > 5 ? ` and ${m.names.size - 5} more` : "");
  const when = m.n === 1 ? `at ${stamp(m.at).slice(0, 8)}` : `${stamp(m.begin).slice(0, 5)} to ${stamp(m.end).slice(0, 5)}`;
  const text = `${m.n === 1 ? "" : `${plural(m.n, "change")}: `}${names} ${m.kind === "removed" ? "removed" : `→ ${m.kind}`}, ${when}`;
  const choose = () => (chosen ? onPeriod(0, 0) : onPeriod(m.begin, m.end));
  return svg("g", { id: `mark-${m.line}-${m.begin}`, class: m.before ? "mark before" : "mark", role: "button", tabindex: "-1", "data-mark": m.id, "data-state": m.kind, "data-n": m.n, "aria-label": text, "aria-pressed": chosen ? "true" : "false", onclick: choose },
    svg("title", {}, text), svg("rect", { class: "touch", x: at - 13, y, width: 26, height: lineHeight, rx: 4 }), picture,
    m.n > 1 ? svg("text", { x: at + 2, y: y + 13 }, m.n > 99 ? "99+" : String(m.n)) : "");
}

// move is the keyboard among the marks.
function move(e) {
  const all = [...byId("timeline").querySelectorAll("[data-mark]")];
  const at = all.indexOf(document.activeElement);
  if (at < 0 || e.ctrlKey || e.metaKey || e.altKey) return;
  const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[e.key];
  if (to !== undefined) {
    const next = all[Math.max(0, Math.min(all.length - 1, to))];
    all[at].setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  } else if (e.key === "Enter" || e.key === " ") {
    document.activeElement.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  } else {
    return;
  }
  e.preventDefault();
  e.stopPropagation();
}

// note says what is listed below the time line.
export function note({ loading, listed, left, period }) {
  const parts = [];
  if (loading) parts.push("loading all services…");
  if (period) parts.push(`${plural(listed, "change")} from ${stamp(period[0]).slice(0, 8)} to ${stamp(period[1]).slice(0, 8)}`);
  if (left > 0) parts.push(`only the newest are shown, ${plural(left, "older one")} of the last hour left out`);
  setText(byId("changes-note"), parts.length ? `· ${parts.join(" · ")}` : "");
}
