// What is shown where there is nothing to show.

import { byId, el } from "./dom.js";
import { command } from "./detail.js";

let shown = "";

// show says why the table is empty, and what to do about it.
export function show({ total, rows, identities, onReset }) {
  const why = rows > 0 ? "" : total === 0 ? "none" : total > 0 ? "filtered" : "";
  if (why === shown) return;
  shown = why;
  const box = byId("empty");
  box.hidden = why === "";
  byId("table").hidden = why === "none";
  if (why === "none") box.replaceChildren(...first(identities));
  else if (why === "filtered") box.replaceChildren(el("p", {}, "No service is like that. ", el("button", { type: "button", onclick: onReset }, "Show all")));
  else box.replaceChildren();
}

// first is how to register a first service here. It asks for a heartbeat every ten seconds and
// gets none, so that one sees it become late, and then SUSPENDED.
function first(identities) {
  const services = new URL("mec_service_mgmt/v1/applications/my-app/services", document.baseURI).href;
  const token = identities ? ' -H "Authorization: Bearer $TOKEN"' : "";
  const info = { serName: "my-first-service", version: "1.0.0", state: "ACTIVE", serializer: "JSON", livenessInterval: 10,
    transportInfo: { id: "t1", name: "REST", type: "REST_HTTP", protocol: "HTTP", version: "1.1", endpoint: { uris: ["http://127.0.0.1:8080/"] }, security: {} } };
  return [
    el("h2", {}, "Register a first one"),
    el("p", {}, "Type this in a terminal, and see it appear here:"),
    command(`curl${token} -H 'Content-Type: application/json' -d '${JSON.stringify(info)}' ${services}`),
    el("p", {}, identities ? "$TOKEN is a token of the application my-app. " : "", "Nobody sends its heartbeats, so it is late after ten seconds and SUSPENDED soon after. Choose it to see the command that is one."),
  ];
}
