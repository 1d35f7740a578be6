// What is shown, in the address of the page: whoever is sent it sees the same.

export const tiles = ["ACTIVE", "SUSPENDED", "INACTIVE", "late", "drained", "none"];
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
    text: (p.get("name") ?? "").slice(0, 128),
    order: orders.includes(order) ? order : "attention",
    service: (p.get("service") ?? "").slice(0, 128),
  };
}

export function query(filter) {
  const p = new URLSearchParams();
  if (["ACTIVE", "SUSPENDED", "INACTIVE"].includes(filter.tile)) p.set("state", filter.tile);
  if (filter.tile === "late") p.set("late", "true");
  if (filter.tile === "drained") p.set("drained", "true");
  if (filter.tile === "none") p.set("liveness", "false");
  if (filter.text) p.set("name", filter.text);
  if (filter.order !== "attention") p.set("order", filter.order);
  if (filter.service) p.set("service", filter.service);
  const text = p.toString();
  return text ? `?${text}` : "";
}

// write changes the address. A service that is opened or closed is a step back; a letter that is
// typed is none.
export function write(filter, step) {
  const next = location.pathname + query(filter);
  if (next === location.pathname + location.search) return;
  history[step ? "pushState" : "replaceState"](null, "", next);
}
