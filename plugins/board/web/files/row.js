// One row of the table: its cells, the bar that runs out, and the gaps between heartbeats.

import { el, svg, setText, setAttr } from "./dom.js";
import { absolute, ago, count, flapping, plural, span, whole } from "./format.js";
import { glyph, words } from "./icons.js";

// make makes an empty row; the table uses it for one service after another.
export function make() {
  const cells = {};
  const cell = (name, ...children) => (cells[name] = el("td", { class: `c-${name}`, role: "gridcell" }, ...children));
  const parts = {
    word: el("span"), chip: el("span", { class: "chip" }), run: el("span", { class: "run" }), mark: el("span", { class: "mark" }),
    left: el("span", { class: "left-text" }), why: el("span", { class: "why" }), name: el("span", { class: "name" }), version: el("span", { class: "small" }), gaps: sparkline(),
    twist: el("span", { class: "twist", "aria-hidden": "true", hidden: true }), counts: el("span", { class: "counts", hidden: true }), brief: el("span", { class: "brief", hidden: true }),
  };
  parts.bar = el("span", { class: "bar", "aria-hidden": "true" }, parts.run, parts.mark);
  const tr = el("tr", { role: "row", tabindex: "-1" },
    cell("state", parts.chip), cell("since"), cell("service", parts.twist, parts.name, parts.version, parts.brief), cell("app"), cell("beat"),
    cell("left", parts.bar, parts.left), cell("gaps", parts.gaps), cell("told"), cell("why", parts.why, parts.counts));
  return { tr, cells, parts, shown: null, kind: "", states: "" };
}

// begin is what each line of the table says: its place, its state, and of which kind it is.
function begin(view, line, index, { warned, level, opened, state }) {
  const { tr, parts } = view;
  view.shown = line;
  setAttr(tr, "aria-rowindex", index + 2); // the head is the first
  setAttr(tr, "data-id", line.group ? null : line.id);
  setAttr(tr, "data-group", line.group ? line.name : null);
  setAttr(tr, "aria-level", level);
  setAttr(tr, "aria-expanded", opened);
  setAttr(tr, "data-state", state);
  setAttr(tr, "data-warned", warned ? "true" : null);
  for (const e of [parts.twist, parts.counts, parts.brief]) e.hidden = !line.group;
  setAttr(parts.gaps, "hidden", Boolean(line.group));
  if (view.kind === line.kind) return;
  view.kind = line.kind;
  setAttr(tr, "data-kind", line.kind);
  setAttr(parts.chip, "data-kind", line.kind);
  parts.chip.replaceChildren(glyph(line.kind), words[line.kind] ?? line.kind);
}

// showGroup has the row show a service name: the worst of its instances, and how many are in each
// state.
export function showGroup(view, group, index, warned) {
  const { cells, parts } = view;
  begin(view, group, index, { warned, level: 1, opened: group.opened ? "true" : "false", state: { late: "ACTIVE", none: "ACTIVE", drained: "INACTIVE" }[group.kind] ?? group.kind });
  setText(parts.twist, group.opened ? "▾" : "▸");
  setText(parts.name, group.name);
  setText(parts.version, group.rows.length < group.all ? ` ${count(group.rows.length)} of ${plural(group.all, "instance")}` : ` ${plural(group.all, "instance")}`);
  setAttr(cells.service, "title", group.name);
  const apps = [...group.apps()];
  setText(cells.app, apps.length === 1 ? apps[0] : plural(apps.length, "application"));
  setAttr(cells.app, "title", apps.slice(0, 20).join("\n"));
  for (const name of ["since", "beat", "left", "why", "told"]) setAttr(cells[name], "title", null);
  setText(parts.why, "");
  setText(cells.told, "");
  setText(cells.beat, "");
  setAttr(cells.told, "data-failing", null);
  setAttr(parts.mark, "hidden", true);
  const states = group.states();
  const text = states.map(([kind, n]) => `${count(n)} ${wordOf(kind)}`).join(", ");
  if (view.states === text) return;
  view.states = text;
  setText(parts.brief, text);
  parts.counts.replaceChildren(...states.map(([kind, n]) => el("span", { class: "state-count", "data-kind": kind }, glyph(kind), `${count(n)} ${wordOf(kind)}`)));
}

const wordOf = (kind) => (kind === "none" ? "without heartbeats" : words[kind] ?? kind);

// show has the row show a service.
export function show(view, row, index, warned, level) {
  const { cells, parts } = view;
  const item = row.item;
  begin(view, row, index, { warned, level, opened: null, state: item.state });
  setText(parts.name, row.name);
  setText(parts.version, item.version ? ` ${item.version}` : "");
  setAttr(cells.service, "title", `${row.name} ${item.version ?? ""}\n${row.id}`);
  setText(cells.app, row.app);
  setAttr(cells.app, "title", item.appName && item.appName !== item.appInstanceId ? `${item.appName}\n${item.appInstanceId}` : row.app);
  setAttr(cells.since, "title", absolute(item.since));
  setAttr(cells.beat, "title", absolute(item.lastHeartbeat));
  setAttr(cells.left, "title", row.interval ? `every ${whole(row.interval)}, SUSPENDED after ${whole(row.window)} of silence${item.missed > 0 ? `, ${plural(item.missed, "heartbeat")} missed` : ""}${item.deadline ? `: at ${absolute(item.deadline)}` : ""}${item.estimated ? ", by the store: another replica hears it" : ""}` : "");
  const why = [row.kind === "late" ? item.missed > 0 ? `${plural(item.missed, "heartbeat")} missed` : "its heartbeat is late" : "", item.reason, flapping(item)].filter(Boolean).join("; ");
  setText(parts.why, why);
  setAttr(cells.why, "title", why || null);
  const told = toldOf(item);
  setText(cells.told, told.text);
  setAttr(cells.told, "title", told.text || null);
  setAttr(cells.told, "data-failing", told.failing ? "true" : null);
  setAttr(parts.mark, "hidden", !(row.window > 0));
  if (row.window > 0) parts.mark.style.left = `${100 * (1 - Math.min(1, row.interval / row.window))}%`;
  drawGaps(parts.gaps, item.gapsSeconds ?? [], row.interval);
}

// tick is what changes with the time alone; now is the server's.
export function tick(view, now) {
  const row = view.shown;
  if (!row || !Number.isFinite(now)) return;
  if (row.group) {
    tickGroup(view, row, now);
    return;
  }
  setText(view.cells.since, row.since ? span((now - row.since) / 1000) : "");
  setText(view.cells.beat, row.last ? ago((now - row.last) / 1000) : row.interval ? "none yet" : "–");
  const left = leftOf(row, now);
  setText(view.parts.left, left.text);
  setAttr(view.parts.bar, "hidden", left.share === null);
  if (left.share !== null) view.parts.run.style.transform = `scaleX(${left.share.toFixed(4)})`;
}

function tickGroup(view, group, now) {
  const since = group.since(), next = group.next();
  setText(view.cells.since, since ? span((now - since) / 1000) : "");
  const left = next ? leftOf(next, now) : { share: null, text: "" };
  setText(view.parts.left, left.text);
  setAttr(view.parts.bar, "hidden", left.share === null);
  if (left.share !== null) view.parts.run.style.transform = `scaleX(${left.share.toFixed(4)})`;
}

// leftOf is how much of its window a service has left, as a share and in words.
export function leftOf(row, now) {
  switch (row.kind) {
    case "none": return { share: null, text: "sends no heartbeats" };
    case "INACTIVE": case "drained": return { share: null, text: "not watched" };
    case "SUSPENDED": return { share: 0, text: "ran out" };
  }
  if (!row.deadline || !row.window) return { share: null, text: "" };
  const seconds = (row.deadline - now) / 1000;
  const about = row.item.estimated ? "about " : ""; // to a second
  if (seconds < 0) return { share: 0, text: `ran out ${about}${span(-seconds)} ago` };
  return { share: Math.min(1, seconds / row.window), text: about + span(seconds) };
}

export function toldOf(item) {
  const n = item.notified;
  if (!n) return { text: "", failing: false };
  const failing = n.failing?.length ?? 0;
  const parts = [];
  if (n.told > 0) parts.push(`${n.told} told`);
  if (n.pending > failing) parts.push(`${n.pending - failing} waiting`);
  if (failing > 0) parts.push(`${failing} failing`);
  if (n.putOff > 0) parts.push(`${n.putOff} later`);
  if (n.lost > 0) parts.push(`${n.lost} not reached`);
  if (n.elsewhere > 0) parts.push(`${n.elsewhere} by other replicas`);
  return { text: parts.join(", ") || "nobody", failing: failing > 0 || n.lost > 0 };
}

const [gapWidth, gapHeight, mostGaps] = [80, 22, 20];

function sparkline() {
  const line = svg("line", { class: "due", x1: 0, x2: gapWidth });
  return svg("svg", { class: "spark", viewBox: `0 0 ${gapWidth} ${gapHeight}`, width: gapWidth, height: gapHeight, role: "img", "aria-label": "" }, svg("g"), line);
}

// drawGaps draws the last gaps between heartbeats against the interval (the line, at half the
// height). What was late is drawn otherwise.
function drawGaps(picture, gaps, interval) {
  const key = `${interval}/${gaps.join(" ")}`;
  if (picture.dataset.key === key) return;
  picture.dataset.key = key;
  const [bars, line] = picture.children;
  const top = Math.max(interval * 2, 0.001);
  const y = (s) => gapHeight - Math.min(1, s / top) * (gapHeight - 2);
  const step = gapWidth / mostGaps;
  bars.replaceChildren(...gaps.slice(-mostGaps).map((g, i) => svg("rect", {
    x: (i * step + 0.5).toFixed(1), width: (step - 1).toFixed(1), y: y(g).toFixed(1), height: (gapHeight - y(g)).toFixed(1),
    class: g > interval * 1.25 ? "late" : "well",
  })));
  setAttr(line, "y1", y(interval).toFixed(1));
  setAttr(line, "y2", y(interval).toFixed(1));
  setAttr(line, "visibility", interval > 0 && gaps.length > 0 ? null : "hidden");
  const late = gaps.filter((g) => g > interval * 1.25).length;
  setAttr(picture, "aria-label", gaps.length === 0 ? "no gaps known" : `the last ${plural(gaps.length, "gap")}, ${late} longer than the interval`);
}
