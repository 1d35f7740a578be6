// What the page knows of the services: the newest of what the server answered and of what its
// stream told, in the order in which it is shown. It knows nothing of elements.

import { time } from "./format.js";
import { described, matches as says, wanted } from "./match.js";

export const mostRows = 20000; // that are kept; the server gives those first that need attention
const mostChanges = 2000; // that are kept, as many as the server gives of the past

// Row is one service instance with its times as numbers.
class Row {
  constructor(item, revision) {
    this.id = item.serInstanceId;
    this.walk = 0; // the last walk over all pages in which it was seen
    this.set(item, revision);
  }

  set(item, revision) {
    this.item = item = plain(item);
    this.revision = revision;
    this.since = time(item.since);
    this.last = time(item.lastHeartbeat);
    this.deadline = time(item.deadline);
    this.interval = item.livenessInterval ?? 0;
    this.window = item.windowSeconds ?? 0;
    this.name = String(item.serName ?? "");
    this.app = String(item.appName || item.appInstanceId || "");
    this.kind = kindOf(item);
    this.choice = { app: this.app, category: categoryOf(item), locality: String(item.locality ?? "") };
    this.text = null;
  }

  // said is what words are looked for in. It is made when somebody looks for some.
  get said() {
    const { item } = this;
    return (this.text ??= described({ app: [item.appInstanceId, item.appName], name: [item.serName], category: [this.choice.category], locality: [item.locality] },
      this.id, item.version, ...endpointsOf(item)));
  }
}

// plain is what the server says of a service, with its cause where it says no more.
export function plain(item) {
  if (item.state === "DRAINED" || (item.state === "INACTIVE" && item.cause?.kind === "drained")) return { ...item, state: "INACTIVE", drained: true };
  return item;
}

export function categoryOf(item) {
  const c = item.category;
  return typeof c === "string" ? c : String(c?.name ?? "");
}

export function endpointsOf(item) {
  return (item.endpoints ?? []).map((e) => (typeof e === "string" ? e : JSON.stringify(e)));
}

// kindOf is what a service counts as: its state, or what says more than that.
function kindOf(item) {
  if (item.state === "ACTIVE" && item.late) return "late";
  if (item.drained) return "drained";
  if (item.state === "ACTIVE" && !item.livenessInterval) return "none";
  return item.state;
}

const ranks = { SUSPENDED: 0, late: 1, ACTIVE: 2, drained: 3, INACTIVE: 4, none: 5 };

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const byNames = (a, b) => compare(a.name, b.name) || compare(a.app, b.app) || compare(a.id, b.id);

// The orders. "attention" has among the living the shortest windows first: they may die soonest.
// By their deadlines they would change places with every heartbeat.
const orders = {
  attention: (a, b) => compare(ranks[a.kind] ?? 9, ranks[b.kind] ?? 9) || attention[a.kind]?.(a, b) || byNames(a, b),
  service: byNames,
  app: (a, b) => compare(a.app, b.app) || byNames(a, b),
  since: (a, b) => compare(b.since || 0, a.since || 0) || byNames(a, b),
};
const attention = {
  SUSPENDED: (a, b) => compare(b.since || 0, a.since || 0),
  late: (a, b) => compare(a.deadline || 0, b.deadline || 0),
  ACTIVE: (a, b) => compare(a.window, b.window),
};

// keyOf tells changes apart: one commit may have several.
const keyOf = (c) => `${c.revision}/${c.serInstanceId}/${c.change}`;

export class Model {
  constructor() {
    this.rows = new Map();
    this.counts = null;
    this.platform = null;
    this.replica = "";
    this.revision = 0;
    this.changes = []; // the newest first
    this.known = 0; // since when changes are known, by the server's clock
    this.left = 0; // how many since then there was no room for
    this.most = 0; // of how many services the last change is noted where nothing else is known
    this.appNames = new Map();
    this.deliveries = new Map(); // by the ids of services: who is told of each, if that was asked for
    this.dirty = true; // the order may be another
    this.found = null; // what last() found, until something changes
    this.wanted = new Set(); // ids of which the server is to be asked
    this.walk = 0;
  }

  // take takes an answer about some services, or all that match.
  take(value) {
    this.counts = value.counts ?? this.counts;
    this.platform = value.platform ?? this.platform;
    this.replica = value.replica ?? this.replica;
    this.revision = Math.max(this.revision, value.revision ?? 0);
    for (const item of value.services ?? []) this.takeItem(item, value.revision ?? 0);
  }

  takeItem(item, revision) {
    this.wanted.delete(item.serInstanceId);
    if (item.appName && item.appName !== item.appInstanceId) this.appNames.set(item.appInstanceId, item.appName);
    if (this.appNames.size > mostRows) this.appNames.clear();
    if (item.subscriptions) this.deliveries.set(item.serInstanceId, item.subscriptions);
    const row = this.rows.get(item.serInstanceId);
    if (!row) {
      if (this.rows.size >= mostRows) return;
      const made = new Row(item, revision);
      made.walk = this.walk;
      this.rows.set(made.id, made);
      this.touch();
      return;
    }
    row.walk = this.walk;
    if (revision < row.revision) return; // the stream was quicker
    const before = [row.kind, row.name, row.app, row.window];
    row.set(item, revision);
    if (before[0] !== row.kind || before[1] !== row.name || before[2] !== row.app || before[3] !== row.window || row.kind === "late") this.touch();
  }

  touch() {
    this.dirty = true;
    this.found = null;
  }

  // sweep removes what a walk over all pages, begun at a revision, has not seen.
  sweep(revision) {
    for (const [id, row] of this.rows) {
      if (row.walk !== this.walk && row.revision <= revision) {
        this.rows.delete(id);
        this.touch();
      }
    }
    for (const id of this.deliveries.keys()) if (!this.rows.has(id)) this.deliveries.delete(id);
  }

  // gone removes services that the server was asked for and did not know.
  gone(ids) {
    for (const id of ids) {
      this.wanted.delete(id);
      if (this.rows.delete(id)) this.touch();
    }
  }

  // change takes in one change that the stream told.
  change(c) {
    this.revision = Math.max(this.revision, c.revision ?? 0);
    const row = this.rows.get(c.serInstanceId);
    this.note({ ...c, at: time(c.time) });
    if (c.change === "REMOVED") {
      if (this.rows.delete(c.serInstanceId)) this.touch();
      this.wanted.delete(c.serInstanceId);
      return;
    }
    this.wanted.add(c.serInstanceId);
    if (!row || c.change !== "STATE_CHANGED" || (c.revision ?? 0) < row.revision) return;
    row.set({ ...row.item, state: c.to, since: c.time, reason: c.reason, cause: c.cause, late: false, missed: 0, drained: c.cause?.kind === "drained", flapping: c.flapping, notified: undefined }, c.revision ?? 0);
    this.touch();
  }

  // note lists a change in its place, once: the answer about the past may have been quicker.
  note(entry) {
    let at = 0;
    for (const c of this.changes) {
      if (c.before || c.revision < entry.revision) break;
      if (keyOf(c) === keyOf(entry)) return;
      if (c.revision > entry.revision) at++;
    }
    this.changes.splice(at, 0, entry);
    if (this.changes.length <= mostChanges || this.changes.pop().before) return;
    this.left++;
    this.knownSince(this.changes.at(-1).at);
  }

  // knownSince notes that of the time before nothing is known.
  knownSince(at) {
    this.known = Math.max(this.known, at || 0);
  }

  // begins takes in at which revision the stream lists everything anew. One that is behind what was
  // known is of a store that was restored: what is known of it would never be replaced.
  begins(revision) {
    if (revision >= this.revision) return;
    this.revision = revision;
    for (const row of this.rows.values()) row.revision = Math.min(row.revision, revision);
    if (this.changes.some((c) => !c.before && c.revision > revision)) this.changes = [];
  }

  // recall takes in what happened before the page was opened, or while nothing was heard.
  recall({ changes, from, left }) {
    const known = new Set(this.changes.map(keyOf));
    const past = (changes ?? []).filter((c) => !known.has(keyOf(c))).map((c) => ({ ...c, at: time(c.time), past: true }));
    const all = [...this.changes.filter((c) => !c.before), ...past].sort((a, b) => b.revision - a.revision);
    this.changes = all.slice(0, mostChanges);
    this.known = time(from) || 0;
    this.left = left ?? 0;
    if (this.left > 0) this.knownSince(time(changes?.[0]?.time));
    if (all.length > mostChanges) this.knownSince(this.changes.at(-1).at);
    this.backfill(this.most);
  }

  // missed has the server asked about services that changed after it answered about them.
  missed() {
    const seen = new Set();
    for (const c of this.changes) {
      if (c.before || seen.has(c.serInstanceId)) continue;
      seen.add(c.serInstanceId);
      const row = this.rows.get(c.serInstanceId);
      if (row ? row.revision < c.revision : c.change !== "REMOVED" && this.rows.size < mostRows) this.wanted.add(c.serInstanceId);
    }
  }

  // backfill notes the last change of services of which nothing else is known, as they say it.
  backfill(most) {
    this.most = most;
    this.changes = this.changes.filter((c) => !c.before);
    const known = new Set(this.changes.map((c) => c.serInstanceId));
    const rows = [...this.rows.values()].filter((r) => r.since && !known.has(r.id)).sort((a, b) => b.since - a.since).slice(0, most);
    for (const r of rows) {
      this.changes.push({ before: true, at: r.since, time: r.item.since, serInstanceId: r.id, serName: r.name, appInstanceId: r.item.appInstanceId,
        change: "STATE_CHANGED", to: r.item.state, reason: r.item.reason, cause: r.item.cause });
    }
    this.changes.length = Math.min(this.changes.length, mostChanges);
  }

  // happened are the changes of the services that a text asks for, also of those that are gone.
  happened(text) {
    const words = wanted(text);
    if (words.length === 0) return this.changes;
    return this.changes.filter((c) => {
      const row = this.rows.get(c.serInstanceId);
      return (row && says(row.said, words)) || says(this.saidOf(c), words);
    });
  }

  // saidOf is what words are looked for in of a change.
  saidOf(c) {
    const app = this.appNames.get(c.appInstanceId);
    if (!c.said || c.saidApp !== app) {
      c.saidApp = app;
      c.said = described({ app: [c.appInstanceId, app], name: [c.serName], category: [c.category], locality: [c.locality] }, c.serInstanceId);
    }
    return c.said;
  }

  // view is what a filter shows, in its order.
  view(filter) {
    const words = wanted(filter.text);
    const out = [];
    for (const row of this.rows.values()) {
      if (matches(row, filter.tile) && (words.length === 0 || says(row.said, words))) out.push(row);
    }
    return out.sort(orders[filter.order] ?? orders.attention);
  }

  // instances counts the instances of each service name: all, those that answer, those in doubt.
  instances() {
    const byName = new Map();
    for (const row of this.rows.values()) {
      let n = byName.get(row.name);
      if (!n) byName.set(row.name, (n = { all: 0, well: 0, late: 0 }));
      n.all++;
      if (row.kind === "ACTIVE" || row.kind === "none") n.well++;
      if (row.kind === "late") n.late++;
    }
    return byName;
  }

  // last are the names of which no instance, or only one, is left: a name that had one only is told
  // of when that one is in doubt.
  last() {
    if (this.found) return this.found;
    const none = [], one = [], doubt = [];
    for (const [name, n] of this.instances()) {
      if (n.well === 0 && n.late > 0) doubt.push(name);
      else if (n.well + n.late === 0 && n.all > 1) none.push({ name, all: n.all });
      else if (n.well === 1 && n.late === 0 && n.all > 1) one.push({ name, all: n.all });
    }
    return (this.found = { none, one, doubt });
  }
}

function matches(row, tile) {
  switch (tile) {
    case "": return true;
    case "ACTIVE": case "SUSPENDED": case "INACTIVE": return row.item.state === tile;
    default: return row.kind === tile;
  }
}
