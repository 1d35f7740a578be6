// The board: who is alive, who is not, since when and why. This file knows what is asked of the
// server and when; the others show it.

import { byId, setAttr, setText } from "./dom.js";
import { ask, Refused, Stream } from "./api.js";
import { Detail } from "./detail.js";
import { Model, mostRows } from "./model.js";
import { Table } from "./table.js";
import * as clock from "./clock.js";
import * as csv from "./csv.js";
import * as dialogs from "./dialogs.js";
import * as empty from "./empty.js";
import * as keys from "./keys.js";
import * as log from "./log.js";
import * as session from "./session.js";
import * as summary from "./summary.js";
import * as url from "./url.js";
import { plural, stamp, time } from "./format.js";

const every = 2000; // ms between two questions
const staleAfter = 5000; // ms without an answer
const soon = 200; // ms after a change until the server is asked about it
const small = 200; // services that are asked for as a whole each time
const page = 1000;
const longest = 1800; // characters of the ids in one question
const questions = 4; // about single services, in one round
const walkEvery = 60000; // ms until everything is asked for again
const [floodOf, floodEvery] = [200, 10000]; // so many changes, and it is asked for again so soon

const model = new Model();
let filter = url.read();
let heard = -Infinity; // when the server said something last, of performance.now
let heardAt = 0; // the same by this machine's clock, for people
let link = "connecting";
let paused = null; // since when, and how many changes since
let failure = "";
let loading = true;
let asking = false;
let walked = -Infinity;
let again = 0; // timer
let startedAt = "";
let caller = { identities: false, mayRead: false, mayDrain: false };

const table = new Table({ onOpen: (id, how) => open(id, how) });
const detail = new Detail({ model, onClose: () => close(), onOpen: (id) => open(id), onDrain: (item) => drain(item) });

function hear() {
  heard = performance.now();
  heardAt = Date.now();
}

const silence = () => {
  const since = performance.now() - Math.max(heard, 0);
  return since > staleAfter ? since / 1000 : null;
};

// question asks for state and takes it in.
async function question(parameters) {
  const { value, begun, ended } = await ask(`state?${new URLSearchParams(parameters)}`);
  hear();
  failure = "";
  const started = value.platform?.startedAt ?? "";
  if (started !== startedAt) {
    if (startedAt) { clock.forget(); walked = -Infinity; }
    startedAt = started;
  }
  clock.learn(time(value.now), begun, ended);
  model.take(value);
  return value;
}

// patiently asks again, a second later, where the platform has too much to do: a page that was left
// out would be missing.
async function patiently(parameters) {
  for (let tries = 0; ; tries++) {
    try {
      return await question(parameters);
    } catch (error) {
      if (!(error instanceof Refused) || ![429, 503].includes(error.status) || tries === 20) throw error;
      hear();
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

// walk asks for all services, page by page.
async function walk() {
  const begun = performance.now();
  model.walk++;
  let revision = null, after = "";
  do {
    const value = await patiently({ limit: after ? page : small, ...(after ? { after } : {}) });
    revision ??= value.revision ?? 0;
    after = value.next ?? "";
    draw();
  } while (after && model.rows.size < mostRows);
  model.sweep(revision);
  if (loading) model.backfill(50);
  loading = false;
  walked = begun;
}

// refresh asks about what may have changed: everything if that is little; else what is late, what
// is seen, and what the stream told of.
async function refresh() {
  const total = model.counts?.total ?? Infinity;
  if (loading || total <= small || performance.now() - walked > (model.wanted.size > floodOf ? floodEvery : walkEvery)) {
    await walk();
    return;
  }
  await question({ late: "true", limit: String(small) });
  const left = [...new Set([...table.visible(), ...model.wanted])];
  for (let n = 0; n < questions && left.length > 0; n++) {
    const ids = [left.shift()];
    for (let size = ids[0].length; left.length > 0 && (size += left[0].length + 3) < longest;) ids.push(left.shift());
    const value = await question({ id: ids.join(","), limit: String(page) });
    const known = new Set((value.services ?? []).map((s) => s.serInstanceId));
    model.gone(ids.filter((id) => !known.has(id)));
  }
}

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
  if (asking || paused) return;
  asking = true;
  try {
    await refresh();
    await look();
  } catch (error) {
    refused(error);
  } finally {
    asking = false;
    clearTimeout(again);
    again = setTimeout(round, model.wanted.size > 0 ? every / 2 : every);
  }
  draw();
}

function hurry() {
  if (asking || paused) return;
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
    } else if (type === "reset" && !loading) {
      walked = -Infinity;
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
  const silent = silence();
  const view = { tile: filter.tile, silent, behind: (performance.now() - heard) / 1000, link, loading, failure, paused: paused ? `paused at ${stamp(paused.at).slice(0, 8)} · ${plural(paused.changes, "change")} since` : "" };
  table.frozen = silent !== null || paused !== null;
  setAttr(byId("scroll"), "aria-busy", loading ? "true" : null);
  summary.show(model, view);
  summary.showBanners(summary.bannersOf(model, { heard: heardAt, silent, error: failure, truncated: (model.counts?.total ?? 0) > mostRows }));
  if (paused) return;
  summary.showPlatform(model, clock.now());
  if (model.dirty || shownFor !== filter) {
    model.dirty = false;
    const list = model.view(filter);
    if (shownFor !== filter) setText(byId("said"), loading ? "" : `${plural(list.length, "service")} shown`);
    shownFor = filter;
    const { none, one, doubt } = model.last();
    table.set(list, new Set([...none, ...one].map((n) => n.name).concat(doubt)));
    setText(byId("shown"), model.counts ? `${plural(list.length, "service")} shown` : "");
  } else {
    table.render();
  }
  empty.show({ total: loading ? undefined : model.counts?.total, rows: table.list.length, identities: caller.identities, onReset: () => change({ tile: "", text: "" }) });
  log.show(model, open);
  detail.draw();
}

let shownFor = null;

// change changes the filter.
function change(to, step = false) {
  filter = { ...filter, ...to };
  url.write(filter, step);
  if (byId("filter").value !== filter.text) byId("filter").value = filter.text;
  byId("order").value = filter.order;
  table.scroll.scrollTop = "service" in to ? table.scroll.scrollTop : 0;
  draw();
}

function open(id, { keyboard = false } = {}) {
  change({ service: id }, true);
  detail.mayDrain = caller.mayDrain;
  detail.open(id);
  table.select(id, { focus: keyboard });
  look().catch(refused);
}

function close() {
  const id = detail.id;
  detail.close();
  change({ service: "" }, true);
  if (id) table.select(id);
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
  else if (filter.tile || filter.text) change({ tile: "", text: "" });
}

function tile(name) {
  change({ tile: filter.tile === name ? "" : name }, true);
}

function visit() { // back and forward
  change(url.read());
  if (filter.service && filter.service !== detail.id) detail.open(filter.service);
  else if (!filter.service && detail.id) detail.close();
}

async function start() {
  if (session.restore()) filter = url.read();
  summary.makeTiles(tile);
  change({});
  byId("filter").addEventListener("input", (e) => change({ text: e.target.value }));
  byId("filter").addEventListener("beforeinput", (e) => { // the key that led here is no part of it
    if (e.data === "/" && e.target.value === "") e.preventDefault();
  });
  byId("order").addEventListener("change", (e) => change({ order: e.target.value }));
  byId("pause").addEventListener("click", pause);
  byId("csv").addEventListener("click", () => csv.save(table.list, new Date()));
  byId("json").addEventListener("click", () => csv.saveJSON(table.list, { replica: model.replica, revision: model.revision }, new Date()));
  byId("help-open").addEventListener("click", dialogs.help);
  addEventListener("popstate", visit);
  addEventListener("beforeprint", () => setText(byId("printed"), ` · printed ${new Date().toString().slice(0, 33)}`));
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (e) => { if (e.persisted) { stream.open(); round(); } });
  keys.listen({ table, act: { pause, escape, tile: (n) => tile(["ACTIVE", "late", "SUSPENDED", "INACTIVE", "drained", "none", ""][n]) } });
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
  await round();
  stream.open();
}

start();
