// The lists beside the filter: of which application, category and locality services are shown.

import { byId, el, setAttr } from "./dom.js";
import { choose, chosen } from "./match.js";

const most = 200; // of one list; whatever else there is can be typed
const lists = [["app", "any application"], ["category", "any category"], ["locality", "any locality"]];
const every = 2000; // ms between two looks at what there is
const shown = {}; // the options of each list, as one text
let shownAt = -Infinity;
let shownFor = "";

// make wires the lists; onChoose is called with the text of the filter.
export function make(textOf, onChoose) {
  for (const [member] of lists) byId(`of-${member}`).addEventListener("change", (e) => onChoose(choose(textOf(), member, e.target.value)));
}

// show offers what there is.
export function show(rows, text) {
  const now = performance.now();
  if (now - shownAt < every && text === shownFor) return;
  [shownAt, shownFor] = [now, text];
  for (const [member, any] of lists) {
    const list = byId(`of-${member}`);
    const values = new Set();
    for (const row of rows.values()) {
      if (row.choice[member]) values.add(row.choice[member]);
      if (values.size === most) break;
    }
    const value = chosen(text, member);
    const all = [...values].sort();
    if (value && !all.some((v) => v.toLowerCase() === value)) all.unshift(value);
    const key = all.join("\n");
    if (shown[member] !== key && document.activeElement !== list) {
      shown[member] = key;
      list.replaceChildren(el("option", { value: "" }, any), ...all.map((v) => el("option", { value: v }, v.length > 40 ? `${v.slice(0, 39)}…` : v)));
    }
    list.hidden = all.length < 2 && !value;
    const option = all.find((v) => v.toLowerCase() === value) ?? "";
    if (list.value !== option) list.value = option;
    setAttr(list, "data-chosen", option ? "true" : null);
  }
}
