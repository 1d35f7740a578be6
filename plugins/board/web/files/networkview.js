// The drawing of who has what and who is told of it, and the same as a table; of very many a grid of
// services instead. It is drawn anew at most once a second, and only if something of it is another.

import { byId, el, svg, setAttr } from "./dom.js";
import { count, plural } from "./format.js";
import { chip, glyph, placed, words } from "./icons.js";
import { mostEdges, mostNodes, networkOf, place, stages } from "./network.js";

const line = 28; // height
const least = 1000; // ms between two drawings
const mostCells = 1000;
const stageNames = Object.keys(stages);

export class NetworkView {
  constructor({ onOpen, onApp }) {
    Object.assign(this, { onOpen, onApp });
    this.box = byId("network");
    this.drawing = this.box.querySelector(".drawing");
    this.table = this.box.querySelector("details");
    this.key = "";
    this.drawnAt = -Infinity;
    this.network = null;
    this.width = 0;
    this.drawing.addEventListener("keydown", (e) => this.move(e));
    for (const type of ["focusin", "focusout", "mouseover", "mouseleave"]) this.drawing.addEventListener(type, (e) => this.near(e.type === "focusout" || e.type === "mouseleave" ? null : e.target));
    this.table.addEventListener("toggle", () => this.fill());
    new ResizeObserver(() => { this.key = ""; }).observe(this.box);
  }

  // show draws some instances, in their order, with who is told of each.
  show(rows, deliveries) {
    const now = performance.now();
    if (now - this.drawnAt < least) return;
    const width = Math.max(300, this.box.clientWidth - 18);
    const network = rows.length > mostNodes ? { size: rows.length, large: true, services: [], told: [] } : networkOf(rows, deliveries);
    const key = network.large ? JSON.stringify([width, rows.length, rows.slice(0, mostCells).map((r) => [r.id, r.kind, r.name])])
      : JSON.stringify([width, network.services.map((s) => [s.id, s.kind, s.label, s.app.label, s.asked]), network.told.map((e) => [e.from.id, e.to.id, e.stage])]);
    if (key === this.key) return;
    this.key = key;
    this.drawnAt = now;
    this.network = network;
    const focused = this.drawing.contains(document.activeElement) ? document.activeElement.dataset.node : "";
    setAttr(this.box, "data-large", network.large ? "true" : null);
    this.drawing.replaceChildren(...(rows.length === 0 ? [el("p", {}, "No service is like that.")] : network.large ? grid(rows, network, this.onOpen) : [legend(network), this.picture(place(network), width)]));
    const nodes = this.nodes();
    const at = nodes.find((n) => n.dataset.node === focused) ?? nodes[0];
    at?.setAttribute("tabindex", "0");
    if (focused) at?.focus();
    this.table.hidden = network.large || rows.length === 0;
    this.fill();
  }

  nodes() {
    return [...this.drawing.querySelectorAll("[data-node]")];
  }

  focus() {
    this.drawing.querySelector('[tabindex="0"]')?.focus();
  }

  picture(network, width) {
    const gap = Math.max(36, width * 0.14);
    const size = Math.min(260, (width - 2 * gap) / 3);
    const x = [4, (width - size) / 2, width - size - 4];
    const y = (node) => node.line * line + line / 2 + 4;
    const height = network.lines * line + 12;
    const path = (from, to) => {
      const [a, b] = [x[from.column] + size, x[to.column]], half = (b - a) / 2;
      return `M${a} ${y(from)} C ${a + half} ${y(from)}, ${b - half} ${y(to)}, ${b} ${y(to)}`;
    };
    const edges = [
      ...network.services.map((s) => svg("path", { class: "edge", d: path(s.app, s), "data-from": s.app.id, "data-to": s.id })),
      ...network.told.map((e) => svg("path", { class: `edge ${e.stage}`, d: path(e.from, e.to), "data-from": e.from.id, "data-to": e.to.id, "data-stage": e.stage, "marker-end": `url(#end-${e.stage})` })),
    ];
    const nodes = [...network.apps, ...network.services, ...network.subscribers].map((n) => this.node(n, x[n.column], y(n), size));
    return svg("svg", { class: "graph", width, height, viewBox: `0 0 ${width} ${height}`, role: "group",
      "aria-label": `${plural(network.apps.length, "application")}, ${plural(network.services.length, "service")}, ${plural(network.subscribers.length, "subscriber")}. Below stands the same as a table.` },
    svg("defs", {}, ...stageNames.map(ending)), ...edges, ...nodes);
  }

  node(n, x, y, size) {
    const text = textOf(n);
    const acts = n.column === 0 ? () => this.onApp(n.of) : n.column === 1 ? () => this.onOpen(n.row.id) : null;
    const picture = n.kind ? placed(n.kind, x + 6, y - 6.5) : null;
    return svg("g", { class: "node", "data-node": n.id, "data-kind": n.kind, "data-failing": n.stages?.has("failing") || n.stages?.has("lost") ? "true" : null, tabindex: "-1",
      role: acts ? "button" : "img", "aria-label": text, onclick: acts },
    svg("title", {}, text), svg("rect", { x, y: y - 11, width: size, height: 22, rx: 5 }), picture,
    svg("text", { x: x + (picture ? 24 : 7), y: y + 4 }, cut(n.label, Math.floor((size - (picture ? 30 : 12)) / 6.6))));
  }

  // near has what belongs to a node stand out.
  near(target) {
    const id = target?.closest?.("[data-node]")?.dataset.node ?? "";
    setAttr(this.drawing, "data-near", id ? "true" : null);
    for (const e of this.drawing.querySelectorAll(".edge")) e.classList.toggle("near", id !== "" && (e.dataset.from === id || e.dataset.to === id));
  }

  // move is the keyboard: up and down in a column, left and right along an edge.
  move(e) {
    const nodes = this.nodes();
    const from = nodes.indexOf(document.activeElement);
    if (from < 0 || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === "Enter" || e.key === " ") {
      document.activeElement.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    } else {
      const to = this.network.large ? cellAt(nodes, from, e.key) : this.nodeAt(nodes, from, e.key);
      if (to === null) return;
      if (to) {
        nodes[from].setAttribute("tabindex", "-1");
        to.setAttribute("tabindex", "0");
        to.focus();
        to.scrollIntoView({ block: "nearest" });
      }
    }
    e.preventDefault();
    e.stopPropagation();
  }

  // nodeAt is the node that a key leads to; undefined: there is none, null: the key leads nowhere.
  nodeAt(nodes, from, key) {
    const id = nodes[from].dataset.node;
    const { apps, services, subscribers } = this.network;
    const column = [apps, services, subscribers].find((c) => c.some((n) => n.id === id));
    const element = (node) => node && nodes.find((e) => e.dataset.node === node.id);
    const at = column.findIndex((n) => n.id === id);
    const along = (left) => {
      const to = [...this.drawing.querySelectorAll(".edge")].map((e) => (left ? [e.dataset.to, e.dataset.from] : [e.dataset.from, e.dataset.to])).find(([one]) => one === id)?.[1];
      return nodes.find((e) => e.dataset.node === to);
    };
    switch (key) {
      case "ArrowDown": return element(column[at + 1]);
      case "ArrowUp": return element(column[at - 1]);
      case "Home": return element(column[0]);
      case "End": return element(column.at(-1));
      case "ArrowRight": return along(false);
      case "ArrowLeft": return along(true);
      default: return null;
    }
  }

  // fill makes the table, if it is opened.
  fill() {
    const body = this.table.querySelector("tbody");
    if (!this.table.open || this.table.hidden || !this.network) {
      body.replaceChildren();
      return;
    }
    const told = new Map();
    for (const e of this.network.told) told.set(e.from, [...(told.get(e.from) ?? []), e]);
    body.replaceChildren(...this.network.services.flatMap((s) => (told.get(s) ?? [null]).map((e) => el("tr", {}, el("td", {}, s.app.label), el("td", {}, s.label), el("td", {}, chip(s.kind)),
      el("td", {}, e ? e.to.label : s.asked ? "nobody" : "not looked at"), el("td", {}, e ? stages[e.stage] : "")))));
  }
}

function textOf(n) {
  if (n.column === 0) return `application ${n.label}: ${plural(n.n, "service")}; show only these`;
  if (n.column === 1) return `service ${n.label} of ${n.app.label}: ${words[n.kind] ?? n.kind}`;
  return `subscriber ${n.label}: ${stageNames.filter((s) => n.stages.has(s)).map((s) => `${n.stages.get(s)} ${stages[s].slice(2)}`).join(", ")}`;
}

const cut = (text, n) => (text.length <= n ? text : `${text.slice(0, Math.max(1, n - 1))}…`);

// ending is the end of an edge: its shape says what its colour says.
function ending(stage) {
  const path = { told: "M0 0 8 4 0 8Z", elsewhere: "M1 1 7 4 1 7Z", waiting: "M4 1.5a2.5 2.5 0 1 0 .01 0Z", failing: "M1 1 7 7M7 1 1 7", lost: "M6 0V8" }[stage];
  return svg("marker", { id: `end-${stage}`, class: `end ${stage}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto" }, svg("path", { d: path }));
}

function legend(network) {
  const sample = (stage) => svg("svg", { width: 44, height: 12, viewBox: "0 0 44 12", "aria-hidden": "true" }, svg("path", { class: `edge ${stage}`, d: "M1 6H40", "marker-end": `url(#end-${stage})` }));
  return el("p", { class: "legend" }, el("span", {}, "Applications → services → who is told, by the last delivery:"),
    ...stageNames.filter((s) => network.told.some((e) => e.stage === s)).map((s) => el("span", { class: "one" }, sample(s), stages[s].slice(2))),
    network.services.some((s) => !s.asked) ? el("span", {}, "of some services it was not looked at") : network.told.length === 0 ? el("span", {}, "nobody has subscribed") : null);
}

// grid are the services one beside the other, those first that stand first in the table.
function grid(rows, network, onOpen) {
  const why = network.told.length > mostEdges ? `${count(network.told.length)} deliveries` : `${count(network.size)} services, applications and subscribers`;
  return [el("p", { class: "legend" }, `${why} are too many for a drawing, which ends at ${mostNodes}: each service is a field here. Filter, and the drawing comes back.`),
    el("div", { class: "cells", role: "group", "aria-label": "Services" }, ...rows.slice(0, mostCells).map((r) => el("button", { type: "button", class: "cell", tabindex: "-1", "data-node": `s ${r.id}`, "data-kind": r.kind,
      title: `${r.name}\n${r.app}`, "aria-label": `${r.name} of ${r.app}: ${words[r.kind] ?? r.kind}`, onclick: () => onOpen(r.id) }, glyph(r.kind), el("span", {}, r.name)))),
    rows.length > mostCells ? el("p", { class: "small" }, `and ${count(rows.length - mostCells)} more: the table has all`) : null].filter(Boolean);
}

// cellAt is the field of the grid that a key leads to.
function cellAt(nodes, from, key) {
  const across = Math.max(1, nodes.filter((n) => n.offsetTop === nodes[0].offsetTop).length);
  const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across, Home: -from, End: nodes.length - 1 - from }[key];
  return by === undefined ? null : nodes[from + by];
}
