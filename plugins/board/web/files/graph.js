// A small drawing of one service: its application, what else that has, and who is told.

import { svg } from "./dom.js";
import { stageOf } from "./network.js";

const most = 6; // of a column
const [line, width] = [26, 380];

// neighbourhood draws application → services → subscribers. A dashed line is a subscriber that was
// not reached.
export function neighbourhood(item, siblings, subscriptions) {
  const services = [{ label: item.serName, kind: item.state, self: true }, ...siblings.slice(0, most - 1).map((r) => ({ label: r.name, kind: r.kind }))];
  if (siblings.length > most - 1) services.push({ label: `and ${siblings.length - most + 1} more`, kind: "more" });
  const told = subscriptions.slice(0, most).map((s) => ({ label: s.appInstanceId || s.id, stage: stageOf(s), failing: ["failing", "lost"].includes(stageOf(s)) }));
  if (subscriptions.length > most) told.push({ label: `and ${subscriptions.length - most} more`, more: true });
  const height = Math.max(services.length, told.length, 1) * line + 8;
  const y = (i, n) => height / 2 + (i - (n - 1) / 2) * line;
  const selfY = y(0, services.length);
  const edges = [
    ...services.map((s, i) => svg("path", { class: "edge", d: `M104 ${height / 2} C 118 ${height / 2}, 122 ${y(i, services.length)}, 134 ${y(i, services.length)}` })),
    ...told.map((s, i) => svg("path", { class: `edge ${s.stage ?? "told"}`, d: `M250 ${selfY} C 262 ${selfY}, 264 ${y(i, told.length)}, 276 ${y(i, told.length)}` })),
  ];
  const node = (x, at, w, label, more) => svg("g", { class: "node", ...more }, svg("title", {}, String(label)),
    svg("rect", { x, y: at - 10, width: w, height: 20, rx: 5 }), svg("text", { x: x + 6, y: at + 4 }, cut(String(label), Math.floor((w - 10) / 6.3))));
  return svg("svg", { class: "graph", viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `${item.appInstanceId} has ${siblings.length + 1} services; ${subscriptions.length} subscribers are told of ${item.serName}` },
  ...edges, node(4, height / 2, 100, item.appName || item.appInstanceId, {}),
  ...services.map((s, i) => node(134, y(i, services.length), 116, s.label, { "data-kind": s.kind, "data-self": s.self ? "true" : null })),
  ...told.map((s, i) => node(276, y(i, told.length), 100, s.label, { "data-failing": s.failing ? "true" : null })));
}

const cut = (text, n) => (text.length <= n ? text : `${text.slice(0, n - 1)}…`);
