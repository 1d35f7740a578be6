// What stands above the table: the sentence, the banners, the tiles, and how the platform is.

import { byId, el, setText, setAttr } from "./dom.js";
import { bytes, count, plural, span, stamp, time } from "./format.js";
import { glyph, pageIcon } from "./icons.js";

const tiles = [
  { tile: "ACTIVE", count: "ACTIVE", label: "ACTIVE", title: "Discovered: they send their heartbeats, or need none" },
  { tile: "late", count: "late", label: "late", title: "A heartbeat is missing; still ACTIVE, and counted there, while the time left has not run out" },
  { tile: "SUSPENDED", count: "SUSPENDED", label: "SUSPENDED", title: "Silent for a whole window, and no longer discovered" },
  { tile: "INACTIVE", count: "INACTIVE", label: "INACTIVE", title: "Set so by their application, or drained" },
  { tile: "drained", count: "drained", label: "drained", title: "Taken out of service by an operator" },
  { tile: "none", count: "withoutLiveness", label: "without heartbeats", title: "They asked for no liveness, and are never SUSPENDED" },
  { tile: "", count: "total", label: "all", title: "Every service instance" },
];

// makeTiles makes the buttons; onTile is called with the one that is chosen.
export function makeTiles(onTile) {
  byId("tiles").replaceChildren(...tiles.map((t) => el("button", { type: "button", "data-tile": t.tile || "all", "aria-pressed": "false", title: t.title,
    onclick: () => onTile(t.tile) },
  el("span", { class: "tile-count" }, "–"), el("span", { class: "tile-label" }, t.tile ? glyph(t.tile) : null, t.label))));
}

export function showTiles(counts, tile) {
  for (const t of tiles) {
    const button = byId("tiles").querySelector(`[data-tile="${t.tile || "all"}"]`);
    const n = counts?.[t.count] ?? 0;
    setText(button.querySelector(".tile-count"), counts ? count(n) : "–");
    setAttr(button, "aria-pressed", t.tile === tile ? "true" : "false");
    setAttr(button, "data-some", n > 0 ? "true" : "false");
  }
}

// overallOf is how all is, in one word, the worst first.
export function overallOf(model, stale) {
  const c = model.counts, p = model.platform;
  if (stale) return "stale";
  if (!c) return "loading";
  if (p?.store?.ready === false || p?.store?.full) return "held";
  if (c.SUSPENDED > 0) return "down";
  if (p?.expiry?.held) return "held";
  if (c.late > 0) return "late";
  return c.total > 0 ? "ok" : "empty";
}

// trustOf says whether the platform believes what it sees.
export function trustOf(p) {
  if (p?.store?.ready === false) return "the store does not answer";
  if (p?.expiry?.held) return "the platform holds decisions back";
  if (p?.store?.full) return "the store is full";
  return "the platform trusts what it sees";
}

// verdictOf is the one thing to know, in words of everyday.
export function verdictOf(model, silent) {
  const c = model.counts, p = model.platform;
  if (silent !== null) return `No answer for ${Math.floor(silent)} s${c ? ": what you see is old" : ""}`;
  if (!c) return "Asking the platform…";
  if (p?.store?.ready === false || p?.store?.full) return capital(trustOf(p));
  if (c.SUSPENDED > 0) return `${namesOf(model, "SUSPENDED", c.SUSPENDED)} silent`;
  if (p?.expiry?.held) return capital(trustOf(p));
  if (c.late > 0) return `${namesOf(model, "late", c.late)} late: a heartbeat is missing`;
  if (c.total === 0) return "No service is registered yet";
  if (c.ACTIVE === 1 && c.total === 1) return "The only service is ACTIVE";
  return c.ACTIVE === c.total ? `All ${count(c.total)} services are ACTIVE` : `${count(c.ACTIVE)} of ${count(c.total)} services are ACTIVE, none is silent`;
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

// namesOf names two services, or one and how many more, with their verb.
function namesOf(model, kind, n) {
  const names = [];
  for (const row of model.rows.values()) {
    if (row.kind === kind && names.push(row.name) === 2) break;
  }
  if (names.length === 0) return plural(n, "service is", "services are"); // its page is still to come
  const cut = (name) => (name.length > 48 ? `${name.slice(0, 47)}…` : name);
  if (n === 1) return `${cut(names[0])} is`;
  if (n > 2) return `${cut(names[0])} and ${count(n - 1)} more are`;
  return names[1] === names[0] ? `2 instances of ${cut(names[0])} are` : names.length === 2 ? `${cut(names[0])} and ${cut(names[1])} are` : "2 services are";
}

export function countsOf(model, silent) {
  const c = model.counts;
  if (!c) return "";
  const drained = c.drained > 0 ? ` · ${count(c.drained)} drained` : "";
  const all = `${count(c.ACTIVE)} ACTIVE · ${count(c.SUSPENDED)} SUSPENDED · ${count(c.late)} late${drained}`;
  return silent !== null ? `It was ${all}` : `${all} · ${trustOf(model.platform)}`;
}

// show shows all of it. silent is for how many seconds nothing was heard of the server, if that is
// too long; null: it answers.
export function show(model, { tile, silent, behind, paused, link, failure }) {
  const overall = overallOf(model, silent !== null);
  setAttr(document.body, "data-overall", overall);
  setAttr(document.body, "data-stale", silent !== null ? "true" : null);
  setAttr(document.body, "data-paused", paused ? "true" : null);
  setText(byId("verdict"), failure && !model.counts ? "Nothing is shown to you" : verdictOf(model, silent));
  setText(byId("counts"), countsOf(model, silent));
  showTiles(model.counts, tile);
  setText(byId("replica"), model.replica ? `· shown by replica ${model.replica}` : "");
  const pill = pillOf({ silent, paused, link, behind, revision: model.revision });
  setAttr(byId("pill"), "data-link", pill.link);
  setText(byId("pill-text"), pill.text);
  const at = model.revision ? `As it is at revision ${model.revision} of the platform's store` : "";
  setAttr(byId("pill"), "title", [pill.link === "live" && Number.isFinite(behind) ? `Heard ${span(behind)} ago` : "", at].filter(Boolean).join(". ") || null);
  showTitle(model, overall, silent);
}

function pillOf({ silent, paused, link, behind, revision }) {
  if (silent !== null) return { link: "stale", text: `no answer for ${Math.floor(silent)} s` };
  if (paused) return { link: "paused", text: paused };
  if (link === "live") return { link, text: ["live", revision ? `revision ${revision}` : "", Number.isFinite(behind) ? `${span(behind)} behind` : ""].filter(Boolean).join(" · ") };
  return { link: "polling", text: link === "connecting" ? "connecting" : "asking every 2 s" };
}

let pictured = "";

function showTitle(model, overall, silent) {
  const c = model.counts;
  let text = "MEC services";
  if (silent !== null) text = `✕ no answer for ${Math.floor(silent)} s – ${text}`;
  else if (c?.SUSPENDED > 0) text = `✕ ${count(c.SUSPENDED)} SUSPENDED – ${text}`;
  else if (overall === "held") text = `‖ ${trustOf(model.platform)} – ${text}`;
  else if (c?.late > 0) text = `▲ ${count(c.late)} late – ${text}`;
  else if (c?.total > 0) text = `✓ ${count(c.ACTIVE)} ACTIVE – ${text}`;
  if (document.title !== text) document.title = text;
  if (pictured !== overall) byId("icon").href = pageIcon((pictured = overall));
}

// bannersOf are the warnings, each with a key and a kind. Their texts do not change by the second:
// whoever listens to them would hear nothing else.
export function bannersOf(model, { heard, silent, error, truncated }) {
  const out = [];
  const p = model.platform ?? {};
  if (error) out.push({ key: "error", kind: "down", text: error });
  if (silent !== null && heard) out.push({ key: "stale", kind: "stale", text: `This is old. The platform was heard last at ${stamp(heard)}; what is below may be otherwise by now.` });
  const e = p.expiry;
  if (e?.held) {
    const until = time(e.until);
    out.push({ key: "held", kind: "held", text: `Held back: ${e.reason || "the platform does not trust what it sees."}`
      + (e.since ? ` Since ${stamp(time(e.since)).slice(0, 8)}, ` : " ") + (until ? `until ${stamp(until).slice(0, 8)} at the latest.` : "until that is over.") });
  }
  if (p.store?.ready === false) out.push({ key: "store", kind: "held", text: "The store does not answer: nothing can change, and heartbeats are not judged." });
  if (p.store?.full) out.push({ key: "full", kind: "held", text: "The store is full: it takes no new services. Remove what is not needed, or raise its quota." });
  const failing = p.notifications?.failingSubscriptions ?? 0;
  if (failing > 0) out.push({ key: "failing", kind: "late", text: `${plural(failing, "subscriber does", "subscribers do")} not take notifications. Services that they asked about show which.` });
  out.push(...lastOf(model));
  if (truncated) out.push({ key: "cut", kind: "late", text: `Only ${count(model.rows.size)} of ${count(model.counts.total)} services are shown, those first that need attention.` });
  return out;
}

// lastOf warns before, and when, the last instance of a name goes.
function lastOf(model) {
  const { none, one, doubt } = model.last();
  const names = (list) => list.slice(0, 3).map((n) => (typeof n === "string" ? n : n.name)).join(", ") + (list.length > 3 ? ` and ${count(list.length - 3)} more` : "");
  const out = [];
  if (none.length) out.push({ key: "none", kind: "down", text: `No instance is left of ${names(none)}.` });
  if (doubt.length) out.push({ key: "doubt", kind: "late", text: `The last instance of ${names(doubt)} is late.` });
  if (one.length) out.push({ key: "one", kind: "late", text: one.length === 1 ? `Only 1 of ${one[0].all} instances of ${one[0].name} is left.` : `Only one instance is left of ${names(one)}.` });
  return out;
}

export function showBanners(list) {
  const box = byId("banners");
  const old = new Map([...box.children].map((e) => [e.dataset.key, e]));
  for (const b of list) {
    const e = old.get(b.key) ?? box.appendChild(el("p", { class: "banner", "data-key": b.key }));
    setAttr(e, "data-kind", b.kind);
    setText(e, b.text);
    old.delete(b.key);
  }
  for (const e of old.values()) e.remove();
}

// showPlatform shows how the platform itself is; now is the server's time.
export function showPlatform(model, now) {
  const p = model.platform;
  if (!p) return;
  const s = p.store ?? {}, load = p.load ?? {}, n = p.notifications ?? {};
  const used = s.quotaBytes > 0 ? `${bytes(s.usedBytes)} of ${bytes(s.quotaBytes)}` : s.usedBytes > 0 ? bytes(s.usedBytes) : "";
  const facts = [
    ["Heartbeats", `${count(Math.round(load.heartbeatsPerMinute ?? 0))} a minute, ${count(Math.round(load.expectedPerMinute ?? 0))} expected`, load.expectedPerMinute > 10 && load.heartbeatsPerMinute < 0.5 * load.expectedPerMinute && now - time(p.startedAt) > 120000],
    ["Replicas", replicasOf(p.replicas ?? [])],
    ["Store", [s.kind, s.ready === false ? "does not answer" : s.full ? "full" : "ok", used].filter(Boolean).join(", "), s.ready === false || s.full],
    ["Notifications", n.pending > 0 || n.failingSubscriptions > 0 ? `${count(n.pending ?? 0)} waiting${n.failingSubscriptions > 0 ? `, ${plural(n.failingSubscriptions, "subscriber")} failing` : ""}` : "", n.failingSubscriptions > 0],
    ["Running for", Number.isFinite(now) && p.startedAt ? `${span((now - time(p.startedAt)) / 1000)}${p.version ? `, version ${p.version}` : ""}` : ""],
  ];
  const box = byId("platform");
  facts.forEach(([name, text, bad], i) => {
    const e = box.children[i] ?? box.appendChild(el("div", {}, el("dt"), el("dd")));
    setText(e.firstChild, name);
    setText(e.lastChild, text);
    setAttr(e, "data-bad", bad ? "true" : null);
    e.hidden = !text;
  });
}

function replicasOf(list) {
  if (list.length <= 1) return "1";
  const names = list.slice(0, 3).map((r) => (r.self ? `${r.id} (this)` : String(r.id)));
  return `${list.length}: ${names.join(", ")}${list.length > 3 ? "…" : ""}`;
}
