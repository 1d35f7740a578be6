// Where more is seen of a service: ServiceComb's console, and the operator's dashboards.

import { el } from "./dom.js";

const places = /\{(serName|serInstanceId|appInstanceId|appName)\}/g;

// of are the links of a service. known are those that the server told.
export function of(item, known) {
  return [consoleOf(item, known?.console), dashboardOf(item, known?.dashboard)].filter(Boolean)
    .map(([text, href]) => el("a", { class: "button", href, target: "_blank", rel: "noopener noreferrer" }, text));
}

function consoleOf(item, at) {
  if (!at || !item.serviceComb?.serviceId) return null;
  return ["ServiceComb's console", new URL(`${at}#!/sc/${encodeURIComponent(item.serviceComb.serviceId)}/instance`, document.baseURI).href];
}

// dashboardOf puts the names of a service into the operator's address. What applications write is
// encoded, and must lead nowhere else than to the operator's host.
export function dashboardOf(item, template) {
  if (!template) return null;
  try {
    const bare = new URL(template.replace(places, "x"));
    const filled = new URL(template.replace(places, (_, name) => encodeURIComponent(item[name] ?? "")));
    if (!["http:", "https:"].includes(filled.protocol) || filled.origin !== bare.origin) return null;
    return ["Dashboard", filled.href];
  } catch {
    return null;
  }
}
