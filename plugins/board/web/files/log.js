// The list of transitions, the newest first.

import { byId, el, setAttr, setText } from "./dom.js";
import { absolute, stamp } from "./format.js";
import { glyph } from "./icons.js";
import { toldOf } from "./row.js";

const words = { ADDED: "registered", REMOVED: "removed", ATTRIBUTES_CHANGED: "changed" };

const drawn = new Map(); // element of an entry
const most = 100; // elements
const [spoken, spokenIn] = [6, 5000]; // so many in so many ms are read aloud one by one
const burstText = "Many services change their state.";
let heard = []; // when the last ones came
let again = 0; // timer, as is quiet
let quiet = 0;

// speak has a screen reader read what is new; of very many only that they are.
function speak(box, fresh) {
  const now = performance.now();
  const recent = heard.filter((at) => now - at < spokenIn);
  const came = fresh.filter((entry) => !entry.before && !entry.past && !entry.shown);
  for (const entry of fresh) entry.shown = true; // it may come again with another filter
  heard = recent.concat(came.map(() => now)).slice(-50);
  const burst = heard.length > spoken;
  const many = burst || came.length < fresh.length;
  setAttr(box, "aria-live", many ? "off" : "polite");
  clearTimeout(again);
  if (many) again = setTimeout(() => setAttr(box, "aria-live", "polite"), 1000);
  if (!burst) return;
  if (recent.length <= spoken) setText(byId("said"), burstText);
  clearTimeout(quiet);
  quiet = setTimeout(() => { // else the same text would be no change, and not be read the next time
    if (byId("said").textContent === burstText) setText(byId("said"), "");
  }, spokenIn);
}

// show brings the list of some changes up to date. Elements are made once, so that what is new is
// announced and nothing else.
export function show(model, all, onOpen) {
  const box = byId("log");
  const changes = all.slice(0, most);
  const current = new Set(changes);
  for (const [entry, e] of drawn) {
    if (!current.has(entry)) { e.remove(); drawn.delete(entry); }
  }
  const fresh = changes.filter((entry) => !drawn.has(entry));
  if (fresh.length > 0) speak(box, fresh);
  let at = box.firstChild;
  const newest = new Set();
  for (const entry of changes) {
    let e = drawn.get(entry);
    if (!e) {
      e = make(entry, onOpen);
      drawn.set(entry, e);
      box.insertBefore(e, at);
    } else {
      at = e.nextSibling;
    }
    if (!newest.has(entry.serInstanceId)) { // what was told is known of a service's last change
      newest.add(entry.serInstanceId);
      const row = model.rows.get(entry.serInstanceId);
      if (row) setText(e.lastChild, row.item.notified ? toldText(row.item) : "");
      if (row && !entry.reason && row.item.state === entry.to && row.item.reason) showReason(e, (entry.reason = row.item.reason));
    }
  }
  const none = box.querySelector(".none") ?? el("li", { class: "none" });
  if (changes.length === 0) setText(none, model.changes.length === 0 ? "Nothing has happened yet." : "Nothing of that has happened.");
  else if (all.length > most) setText(none, `and ${all.length - most} older ones: choose a time above, or filter`);
  else setText(none, "");
  if (none.textContent === "") none.remove();
  else if (none !== box.lastChild) box.append(none);
}

function showReason(e, text) {
  const reason = e.querySelector(".reason");
  setText(reason, text);
  reason.title = text;
}

function toldText(item) {
  const told = toldOf(item);
  return told.text === "nobody" ? "nobody asked to be told" : told.text;
}

function make(entry, onOpen) {
  const to = entry.change === "REMOVED" ? "removed" : entry.to;
  const what = entry.change === "STATE_CHANGED"
    ? [entry.from ? `${entry.from} → ` : "→ ", el("strong", { "data-state": to }, glyph(to), to)]
    : [el("strong", {}, words[entry.change] ?? entry.change), entry.change === "ADDED" && entry.to ? `, ${entry.to}` : ""];
  return el("li", { "data-change": entry.change, "data-to": to, "data-id": entry.serInstanceId, class: entry.before ? "before" : null },
    el("time", { datetime: absolute(entry.time), title: absolute(entry.time) }, stamp(entry.at)),
    el("button", { type: "button", class: "link", title: `${entry.appInstanceId ?? ""}\n${entry.serInstanceId}`, onclick: () => onOpen(entry.serInstanceId) }, String(entry.serName ?? entry.serInstanceId)),
    el("span", { class: "what" }, ...what),
    el("span", { class: "reason", title: entry.reason || null }, entry.reason || ""),
    el("span", { class: "told" }));
}
