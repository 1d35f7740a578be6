// The board: who is alive, who is not, since when and why. This file knows what is asked of the
// server and when; the others show it.

import { byId, setAttr, setText } from "./dom.js";
import { ask, Refused, Stream } from "./api.js";
import { Detail } from "./detail.js";
import { Model, mostRows } from "./model.js";
import { Asking } from "./asking.js";
import { NetworkView } from "./networkview.js";
import { mostNodes } from "./network.js";
import { choose } from "./match.js";
import { Table } from "./table.js";
import * as choices from "./choices.js";
import * as clock from "./clock.js";
import * as csv from "./csv.js";
import * as dialogs from "./dialogs.js";
import * as empty from "./empty.js";
import * as groups from "./groups.js";
import * as keys from "./keys.js";
import * as log from "./log.js";
import * as session from "./session.js";
import * as summary from "./summary.js";
import * as timeline from "./timeline.js";
import * as url from "./url.js";
import { plural, stamp } from "./format.js";

const every = 2000; // ms between two questions
const staleAfter = 5000; // ms without an answer
const soon = 200; // ms after a change until the server is asked about it
const changesEvery = 250; // ms between two drawings of what happened, unless somebody chooses
const hour = 3600e3; // ms

const model = new Model();
let filter = url.read();
let heard = -Infinity; // when the server said something last, of performance.now
let heardAt = 0; // the same by this machine's clock, for people
let link = "connecting";
let paused = null; // since when, and how many changes since
let failure = "";
let underWay = false; // a round of questions
let again = 0; // timer
let caller = { identities: false, mayRead: false, mayDrain: false };

const table = new Table({ onOpen: (id, how) => open(id, how), onToggle: (name) => toggle(name) });
const asking = new Asking({ model, seen: () => (asking.deliveries ? list.map((r) => r.id) : table.visible()), draw, answered: ({ refused } = {}) => { hear(); if (!refused) failure = ""; } });
const network = new NetworkView({ onOpen: (id) => open(id, { stay: true }), onApp: (id) => change({ text: choose(filter.text, "app", id) }, true) });
const detail = new Detail({ model, onClose: () => close(), onOpen: (id) => open(id), onDrain: (item) => drain(item) });

function hear() {
  heard = performance.now();
  heardAt = Date.now();
}

const silence = () => {
  const since = performance.now() - Math.max(heard, 0);
  return since > staleAfter ? since / 1000 : null;
};

async function look() {
  if (!detail.id) return;
  const id = detail.id;
  try {
    const { value } = await ask(`state/${encodeURIComponent(id)}`);
    hear();
    detail.take(id, value);
  } catch (error) {
    if (error instanceof Refused && error.status === 404) detail.take(id, null);
    else if (!(error instanceof Refused)) throw error;
  }
}

// round is one round of questions; there is one at a time.
async function round() {
  clearTimeout(again);
  again = setTimeout(round, every);
  if (underWay || paused) return;
  underWay = true;
  try {
    await asking.refresh();
    await look();
  } catch (error) {
    refused(error);
  } finally {
    underWay = false;
    clearTimeout(again);
    again = setTimeout(round, model.wanted.size > 0 ? every / 2 : every);
  }
  draw();
}

function hurry() {
  if (underWay || paused) return;
  clearTimeout(again);
  again = setTimeout(round, soon);
}

function refused(error) {
  if (!(error instanceof Refused)) return; // no answer: the display says so by itself
  hear();
  if (error.status === 401 && session.login()) return;
  if (error.status === 401 || error.status === 403) failure = session.forbidden(caller);
  else if (error.status === 429 || error.status === 503) return; // it is asked again
  else failure = error.message;
}

const stream = new Stream({
  heard: hear,
  state: (word) => { link = word; },
  refused: (error) => { refused(error); draw(); },
  event(type, data) {
    if (type === "change") {
      model.change(data);
      if (paused) paused.changes++;
      hurry();
    } else if (type === "reset" && !asking.loading) {
      model.begins(data.revision ?? 0);
      asking.anew();
      asking.recall().then(draw, refused);
      hurry();
    }
    if (!paused) draw();
  },
});

let drawn = 0;

// draw has all of it drawn with the next frame.
function draw() {
  drawn ||= requestAnimationFrame(() => { drawn = 0; drawNow(); });
}

function drawNow() {
  const chosen = shownFor !== filter;
  const silent = silence();
  const view = { tile: filter.tile, silent, behind: (performance.now() - heard) / 1000, link, failure, paused: paused ? `paused at ${stamp(paused.at).slice(0, 8)} · ${plural(paused.changes, "change")} since` : "" };
  table.frozen = silent !== null || paused !== null;
  setAttr(byId("scroll"), "aria-busy", asking.loading ? "true" : null);
  summary.show(model, view);
  summary.showBanners(summary.bannersOf(model, { heard: heardAt, silent, error: failure, truncated: (model.counts?.total ?? 0) > mostRows }));
  if (paused) return;
  summary.showPlatform(model, clock.now());
  if (model.dirty || shownFor !== filter) {
    model.dirty = false;
    list = model.view(filter);
    asking.deliveries = filter.graph && list.length <= mostNodes;
    const lines = filter.group ? groups.lines(list, model.rows.values(), filter.open) : list;
    const said = filter.group ? `${plural(groups.names(lines), "service")} with ${plural(list.length, "instance")} shown` : `${plural(list.length, "service")} shown`;
    if (shownFor !== filter) setText(byId("said"), asking.loading ? "" : said);
    shownFor = filter;
    const { none, one, doubt } = model.last();
    table.set(lines, new Set([...none, ...one].map((n) => n.name).concat(doubt)), filter.group);
    setText(byId("shown"), model.counts ? said : "");
  } else {
    table.render();
  }
  empty.show({ total: asking.loading ? undefined : model.counts?.total, rows: table.list.length, identities: caller.identities, onReset: () => change({ tile: "", text: "" }) });
  if (filter.graph) network.show(list, model.deliveries);
  choices.show(model.rows, filter.text);
  if (chosen || performance.now() - changesAt >= changesEvery) drawChanges(silent !== null);
  else later ||= setTimeout(() => { later = 0; draw(); }, changesEvery);
  detail.draw();
}

let changesAt = -Infinity; // when what happened was drawn last
let later = 0; // timer, until it is again

function drawChanges(stale) {
  changesAt = performance.now();
  const all = model.happened(filter.text);
  const listed = filter.from ? all.filter((c) => c.at >= filter.from && c.at < filter.to) : all;
  if (!stale) timeline.show(all, { now: clock.now(), known: model.known, from: filter.from, to: filter.to });
  timeline.note({ loading: asking.loading, listed: listed.length, left: model.known > clock.now() - hour ? model.left : 0, period: filter.from ? [filter.from, filter.to] : null });
  byId("whole").hidden = !filter.from;
  log.show(model, listed, open);
}

let shownFor = null;
let list = []; // the instances that are shown, or of which the names are

// change changes the filter.
function change(to, step = false) {
  filter = { ...filter, ...to };
  url.write(filter, step);
  if (byId("filter").value !== filter.text) byId("filter").value = filter.text;
  byId("order").value = filter.order;
  setAttr(byId("group"), "aria-pressed", filter.group ? "true" : "false");
  setAttr(byId("view"), "aria-pressed", filter.graph ? "true" : "false");
  byId("scroll").hidden = filter.graph;
  byId("network").hidden = !filter.graph;
  table.scroll.scrollTop = "service" in to || "open" in to ? table.scroll.scrollTop : 0;
  draw();
}

function graph() {
  change({ graph: !filter.graph }, true);
  hurry();
}

const group = () => change({ group: !filter.group, open: [] }, true);

// toggle opens a service name, or closes it.
function toggle(name) {
  change({ open: filter.open.includes(name) ? filter.open.filter((other) => other !== name) : [name, ...filter.open] });
}

function open(id, { keyboard = false, stay = false } = {}) {
  change({ service: id }, true);
  detail.mayDrain = caller.mayDrain;
  detail.open(id);
  table.select(id, { focus: keyboard && !stay });
  look().catch(refused);
}

function close() {
  const id = detail.id;
  detail.close();
  change({ service: "" }, true);
  if (id) table.select(id, { focus: !filter.graph });
  if (id && filter.graph) network.focus();
}

function drain(item) {
  const row = model.rows.get(item.serInstanceId);
  if (!row) return;
  const n = model.instances().get(row.name);
  dialogs.drain(row, { back: item.drained, lastOne: n.well + n.late === 1 && (row.kind === "ACTIVE" || row.kind === "late" || row.kind === "none"),
    done: () => { model.wanted.add(row.id); hurry(); look().catch(refused); } });
}

function pause() {
  paused = paused ? null : { at: Date.now(), changes: 0 };
  setAttr(byId("pause"), "aria-pressed", paused ? "true" : "false");
  setText(byId("pause"), paused ? "Resume" : "Pause");
  if (!paused) round();
  draw();
}

function escape(typing) {
  if (typing?.id === "filter" && filter.text) change({ text: "" });
  else if (typing) typing.blur();
  else if (detail.id) close();
  else if (filter.from) period(0, 0);
  else if (filter.tile || filter.text) change({ tile: "", text: "" });
}

function tile(name) {
  change({ tile: filter.tile === name ? "" : name }, true);
}

const period = (from, to) => change({ from, to }, true);

function visit() { // back and forward
  change(url.read());
  if (filter.service && filter.service !== detail.id) detail.open(filter.service);
  else if (!filter.service && detail.id) detail.close();
}

async function start() {
  if (session.restore()) filter = url.read();
  summary.makeTiles(tile);
  choices.make(() => filter.text, (text) => change({ text }, true));
  timeline.make(period, draw);
  byId("whole").addEventListener("click", () => period(0, 0));
  change({});
  byId("filter").addEventListener("input", (e) => change({ text: e.target.value }));
  byId("filter").addEventListener("beforeinput", (e) => { // the key that led here is no part of it
    if (e.data === "/" && e.target.value === "") e.preventDefault();
  });
  byId("order").addEventListener("change", (e) => change({ order: e.target.value }));
  byId("view").addEventListener("click", graph);
  byId("group").addEventListener("click", group);
  byId("pause").addEventListener("click", pause);
  byId("csv").addEventListener("click", () => csv.save(list, new Date()));
  byId("json").addEventListener("click", () => csv.saveJSON(list, { replica: model.replica, revision: model.revision }, new Date()));
  byId("help-open").addEventListener("click", dialogs.help);
  addEventListener("popstate", visit);
  addEventListener("beforeprint", () => setText(byId("printed"), ` · printed ${new Date().toString().slice(0, 33)}`));
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (e) => { if (e.persisted) { stream.open(); round(); } });
  keys.listen({ table, act: { pause, escape, group, graph, enter: () => network.focus(), tile: (n) => tile(["ACTIVE", "late", "SUSPENDED", "INACTIVE", "drained", "none", ""][n]) } });
  setInterval(draw, 1000);
  const who = await session.who(() => { draw(); });
  if (!who) return; // what is shown is still drawn until the browser goes
  caller = who;
  if (!caller.mayRead) {
    failure = session.forbidden(caller);
    setInterval(hear, 1000); // it has answered, and is not asked again
    draw();
    return;
  }
  detail.mayDrain = caller.mayDrain;
  detail.links = caller.links;
  if (filter.service) detail.open(filter.service);
  const past = asking.recall().catch((error) => { refused(error); return ""; });
  await round();
  stream.last = await past;
  if (!stream.last && !model.known) model.knownSince(clock.now());
  model.missed();
  draw();
  stream.open();
}

start();
