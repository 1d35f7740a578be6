// The picture of a state beside its word, and the icon of the page. Shapes differ, not only colours.

import { el, svg } from "./dom.js";

export const words = { ACTIVE: "ACTIVE", SUSPENDED: "SUSPENDED", INACTIVE: "INACTIVE", late: "late", drained: "drained", none: "ACTIVE" };

const shapes = {
  ACTIVE: ["M3 8.5 6.5 12 13 4.5", "stroke"],
  SUSPENDED: ["M4 4 12 12 M12 4 4 12", "stroke"],
  late: ["M8 2 14.5 13.5H1.5Z M8 6v4 M8 11.6v.6", "stroke"],
  INACTIVE: ["M4 8h8", "stroke"],
  drained: ["M6 4v8 M10 4v8", "stroke"],
  removed: ["M8 2.5a5.5 5.5 0 1 0 .01 0Z M4.2 11.8 11.8 4.2", "stroke"],
  none: ["M8 6.5a1.5 1.5 0 1 0 .01 0Z", "fill"],
};

export function glyph(kind) {
  const [path, how] = shapes[kind] ?? shapes.none;
  return svg("svg", { viewBox: "0 0 16 16", class: `glyph ${how}`, "aria-hidden": "true", focusable: "false" }, svg("path", { d: path }));
}

// placed is the shape within a drawing, with its upper left corner at a place.
export function placed(kind, x, y) {
  const e = glyph(kind);
  for (const [name, value] of Object.entries({ x, y, width: 13, height: 13 })) e.setAttribute(name, value);
  return e;
}

// chip is a state with its shape and its word.
export function chip(kind) {
  return el("span", { class: "chip", "data-kind": kind }, glyph(kind), words[kind] ?? kind);
}

const faces = {
  ok: ["#1a7f37", "M9 17l5 5 9-11"],
  late: ["#b35900", "M16 8v10M16 22v2"],
  down: ["#c62828", "M10 10l12 12M22 10l-12 12"],
  held: ["#7a3ea8", "M12 9v14M20 9v14"],
  stale: ["#6b6b6b", "M11 12q5-6 9 0q1 4-4 6v2M16 23v2"],
  empty: ["#4a6785", "M10 16h12"],
};

// pageIcon is the icon of the page, as an address that needs no server: it must change when there
// is none.
export function pageIcon(overall) {
  const [colour, path] = faces[overall] ?? faces.empty;
  const picture = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="${colour}"/><path d="${path}" fill="none" stroke="#fff" stroke-width="3.5" stroke-linecap="round" stroke-linejoin="round"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(picture)}`;
}
