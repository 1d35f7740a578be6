// What is shown, in the address of the page: whoever is sent it sees the same.

import { shortened } from "./match.js";

export const tiles = ["ACTIVE", "SUSPENDED", "INACTIVE", "late", "drained", "none"];
const mostOpen = 50; // names in an address
const mostText = 1024; // characters of the filter
const orders = ["attention", "service", "app", "since"];

// read is the filter that an address names. What it does not know is left out.
export function read(search = location.search) {
  const p = new URLSearchParams(search);
  let tile = p.get("state") ?? "";
  if (p.get("late") === "true") tile = "late";
  if (p.get("drained") === "true") tile = "drained";
  if (p.get("liveness") === "false") tile = "none";
  const order = p.get("order") ?? "";
  return {
    tile: tiles.includes(tile) ? tile : "",
    text: shortened(p.get("name") ?? "", mostText),
    order: orders.includes(order) ? order : "attention",
    service: (p.get("service") ?? "").slice(0, 128),
    graph: p.get("view") === "graph",
    group: p.get("group") === "service",
    open: p.getAll("open").slice(0, mostOpen),
    ...period(p),
  };
}

// period is the time of which changes are listed, in ms; 0: of any.
function period(p) {
  const [from, to] = [Date.parse(p.get("from") ?? ""), Date.parse(p.get("to") ?? "")];
  return from > 0 && to > from ? { from, to } : { from: 0, to: 0 };
}

export function query(filter) {
  const p = new URLSearchParams();
  if (["ACTIVE", "SUSPENDED", "INACTIVE"].includes(filter.tile)) p.set("state", filter.tile);
  if (filter.tile === "late") p.set("late", "true");
  if (filter.tile === "drained") p.set("drained", "true");
  if (filter.tile === "none") p.set("liveness", "false");
  const text = shortened(filter.text, mostText);
  if (text) p.set("name", text);
  if (filter.order !== "attention") p.set("order", filter.order);
  if (filter.service) p.set("service", filter.service);
  if (filter.from) {
    p.set("from", new Date(filter.from).toISOString());
    p.set("to", new Date(filter.to).toISOString());
  }
  if (filter.graph) p.set("view", "graph");
  if (filter.group) {
    p.set("group", "service");
    for (const name of filter.open.slice(0, mostOpen)) if (name.length <= 200) p.append("open", name);
  }
  const all = p.toString();
  return all ? `?${all}` : "";
}

// write changes the address. A service that is opened or closed is a step back; a letter that is
// typed is none.
export function write(filter, step) {
  const next = location.pathname + query(filter);
  if (next === location.pathname + location.search) return;
  history[step ? "pushState" : "replaceState"](null, "", next);
}
