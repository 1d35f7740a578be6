// The table of services. Only the rows that can be seen are elements, and only they are counted
// down, by one timer.

import { byId, setAttr } from "./dom.js";
import * as rows from "./row.js";
import * as clock from "./clock.js";

const height = 38; // of a row, as the style has it
const over = 6; // rows above and below those that are seen
const mostPrinted = 2000;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Table {
  constructor({ onOpen, onToggle }) {
    Object.assign(this, { onOpen, onToggle });
    this.list = []; // instances, or lines of service names with some instances below them
    this.grouped = false;
    this.warned = new Set();
    this.views = [];
    this.first = 0;
    this.selected = ""; // id of a line
    this.frozen = false;
    this.printing = false;
    this.scroll = byId("scroll");
    this.body = byId("rows");
    this.above = byId("above").querySelector("td");
    this.below = byId("below").querySelector("td");
    this.scroll.addEventListener("scroll", () => this.later(), { passive: true });
    new ResizeObserver(() => this.later()).observe(this.scroll);
    this.body.addEventListener("click", (e) => {
      const tr = e.target.closest("tr");
      const line = this.views.find((v) => v.tr === tr)?.shown;
      if (!line) return;
      this.select(line.id);
      this.activate();
    });
    addEventListener("beforeprint", () => { this.printing = true; this.render(); });
    addEventListener("afterprint", () => { this.printing = false; this.render(); });
    setInterval(() => this.tick(), 250);
    this.ticks = 0;
  }

  // set shows a list of lines; warned are service names.
  set(list, warned, grouped) {
    Object.assign(this, { list, warned, grouped });
    setAttr(byId("table"), "role", grouped ? "treegrid" : "grid");
    setAttr(byId("table"), "aria-rowcount", list.length + 1);
    setAttr(byId("table"), "data-told", list.some((r) => r.item?.notified || r.rows?.some((one) => one.item.notified))); // else nobody knows
    this.render();
  }

  later() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.render(); });
  }

  render() {
    const n = this.list.length;
    const visible = Math.ceil(this.scroll.clientHeight / height) + 1;
    let first = Math.max(0, Math.floor(this.scroll.scrollTop / height) - over);
    let last = Math.min(n, first + visible + 2 * over);
    if (this.printing) [first, last] = [0, Math.min(n, mostPrinted)];
    this.first = Math.min(first, Math.max(0, last - 1));
    this.above.style.height = `${this.first * height}px`;
    this.below.style.height = `${Math.max(0, n - last) * height}px`;
    setAttr(byId("above"), "hidden", this.first === 0);
    setAttr(byId("below"), "hidden", n - last <= 0);
    const focused = this.views.find((v) => v.tr === document.activeElement)?.shown?.id;
    while (this.views.length < last - this.first) {
      const view = rows.make();
      this.views.push(view);
      this.body.append(view.tr);
    }
    while (this.views.length > Math.max(0, last - this.first)) this.views.pop().tr.remove();
    const now = clock.now();
    this.views.forEach((view, i) => {
      const row = this.list[this.first + i];
      const other = view.shown?.id !== row.id;
      if (row.group) rows.showGroup(view, row, this.first + i, this.warned.has(row.name));
      else rows.show(view, row, this.first + i, this.warned.has(row.name), this.grouped ? 2 : null);
      if (other || !this.frozen) rows.tick(view, now);
      const selected = row.id === this.selected;
      setAttr(view.tr, "aria-selected", selected ? "true" : "false");
      view.tr.tabIndex = selected || (!this.selected && i === 0) ? 0 : -1;
      if (focused === row.id && document.activeElement !== view.tr) view.tr.focus({ preventScroll: true });
    });
  }

  // tick counts down what is seen, four times a second, or once where motion is unwelcome.
  tick() {
    if (this.frozen || document.hidden || (calm.matches && this.ticks++ % 4 !== 0)) return;
    const now = clock.now();
    for (const view of this.views) rows.tick(view, now);
  }

  // visible are the ids of the instances that can be seen.
  visible() {
    const first = Math.floor(this.scroll.scrollTop / height);
    return this.list.slice(first, first + Math.ceil(this.scroll.clientHeight / height)).filter((line) => !line.group).map((r) => r.id);
  }

  select(id, { focus = true } = {}) {
    this.selected = id;
    const at = this.list.findIndex((r) => r.id === id);
    if (at >= 0) this.reveal(at);
    this.render();
    if (focus) this.views.find((v) => v.shown?.id === id)?.tr.focus({ preventScroll: true });
  }

  chosen() {
    return this.list.find((line) => line.id === this.selected);
  }

  // activate opens what is selected: the panel of an instance, or the instances of a name.
  activate(how) {
    const line = this.chosen();
    if (line?.group) this.onToggle(line.name);
    else if (this.selected) this.onOpen(this.selected, how);
  }

  // unfold opens or closes the name that is selected, or of which an instance is.
  unfold(wanted) {
    const line = this.chosen();
    if (!this.grouped || !line) return;
    if (line.group && line.opened !== wanted) this.onToggle(line.name);
    else if (line.group && wanted && line.opened) this.move(1);
    else if (!line.group && !wanted) this.select(`\n${line.name}`);
  }

  reveal(at) {
    const head = 32;
    const from = at * height, to = from + height;
    const seen = this.scroll.clientHeight - head;
    if (from < this.scroll.scrollTop) this.scroll.scrollTop = from;
    else if (to > this.scroll.scrollTop + seen) this.scroll.scrollTop = to - seen;
  }

  // move selects the row some rows further down.
  move(by) {
    if (this.list.length === 0) return;
    const at = this.list.findIndex((r) => r.id === this.selected);
    const next = at < 0 && by !== Infinity ? 0 : Math.max(0, Math.min(this.list.length - 1, at + by));
    this.select(this.list[next].id);
  }

  page() {
    return Math.max(1, Math.floor(this.scroll.clientHeight / height) - 2);
  }
}
