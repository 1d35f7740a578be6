// The panel about one service: why it is as it is, who was told, what belongs to it.

import { byId, el, setText, clear } from "./dom.js";
import { absolute, flapping, stamp, time, whole } from "./format.js";
import { chip } from "./icons.js";
import { categoryOf, endpointsOf, plain } from "./model.js";
import { neighbourhood } from "./graph.js";
import { stageOf, stages } from "./network.js";
import * as links from "./links.js";

export class Detail {
  constructor({ model, onClose, onDrain, onOpen }) {
    Object.assign(this, { model, onClose, onDrain, onOpen });
    this.box = byId("detail");
    this.id = "";
    this.item = null;
    this.key = "";
  }

  open(id) {
    this.id = id;
    this.item = null;
    this.key = "";
    this.missing = false;
    this.box.hidden = false;
    document.body.dataset.detail = "true";
    this.draw();
  }

  close() {
    this.id = "";
    this.box.hidden = true;
    delete document.body.dataset.detail;
    clear(this.box);
  }

  // take takes what the server says of the service; null: there is none of that id.
  take(id, item) {
    if (id !== this.id) return;
    this.item = item && plain(item);
    this.missing = item === null;
    this.draw();
  }

  // draw draws the panel anew if anything of it has changed that is not counted down.
  draw() {
    const row = this.model.rows.get(this.id);
    const item = this.item ?? row?.item;
    const key = JSON.stringify([this.missing, this.mayDrain, item?.state, item?.late, item?.reason, item?.drained, item?.cause, item?.since, item?.version, item?.endpoints, item?.notified,
      item?.missed, item?.flaps, item?.flapping, this.item?.transitions, this.item?.subscriptions, this.neighbours(item).map((r) => [r.id, r.kind])]);
    if (key === this.key) return;
    this.key = key;
    const focused = this.box.contains(document.activeElement) ? document.activeElement.dataset.focus : "";
    const top = this.box.scrollTop;
    this.box.replaceChildren(...(item && !this.missing ? this.parts(item, row) : this.none()).filter(Boolean));
    this.box.scrollTop = top;
    if (focused) this.box.querySelector(`[data-focus="${focused}"]`)?.focus();
  }

  none() {
    return [this.head("Not here", null), el("p", {}, this.missing ? "There is no such service any more." : "Asking…")];
  }

  head(name, kind) {
    return el("header", {}, el("h2", {}, name), kind ? chip(kind) : null,
      el("button", { type: "button", class: "close", "data-focus": "close", "aria-label": "Close", title: "Close (Escape)", onclick: () => this.onClose() }, "✕"));
  }

  parts(item, row) {
    const kind = row?.kind ?? item.state;
    return [
      this.head(String(item.serName), kind),
      el("p", { class: "reason" }, item.reason || "", item.since ? el("span", { class: "small" }, ` since ${stamp(time(item.since)).slice(0, 8)}`) : null),
      el("p", { class: "buttons" }, ...links.of(item, this.links), this.mayDrain ? el("button", { type: "button", "data-focus": "drain", class: item.drained ? "primary" : null,
        onclick: () => this.onDrain(item) }, item.drained ? "Undrain: bring it back…" : "Drain: take it out of service…") : null),
      facts(item),
      subscriptions(item.subscriptions, this.item !== null),
      transitions(item.transitions ?? []),
      this.around(item),
      item.livenessInterval > 0 && item.links?.liveness ? heartbeat(item) : null,
      names(item),
    ];
  }

  // neighbours are the other services of its application, and the other instances of its name.
  neighbours(item) {
    if (!item) return [];
    const out = [];
    for (const row of this.model.rows.values()) {
      if (row.id !== item.serInstanceId && (row.item.appInstanceId === item.appInstanceId || row.name === item.serName)) out.push(row);
      if (out.length > 200) break;
    }
    return out.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  around(item) {
    const all = this.neighbours(item);
    const list = (title, rows) => (rows.length === 0 ? null : el("div", {}, el("h4", {}, title), el("ul", { class: "plain" }, ...rows.slice(0, 20).map((r) => el("li", {},
      el("button", { type: "button", class: "link", "data-focus": r.id, onclick: () => this.onOpen(r.id) }, r.item.appInstanceId === item.appInstanceId ? r.name : r.app), " ", chip(r.kind))),
    rows.length > 20 ? el("li", {}, `and ${rows.length - 20} more`) : null)));
    const instances = all.filter((r) => r.name === item.serName);
    return el("section", {}, el("h3", {}, "What belongs to it"), neighbourhood(item, all.filter((r) => r.item.appInstanceId === item.appInstanceId), item.subscriptions ?? []),
      list("Other services of the application", all.filter((r) => r.item.appInstanceId === item.appInstanceId)), list(`Other instances of ${item.serName}`, instances.filter((r) => r.item.appInstanceId !== item.appInstanceId)));
  }
}

function facts(item) {
  const rows = [
    ["Application", item.appName && item.appName !== item.appInstanceId ? `${item.appName} (${item.appInstanceId})` : item.appInstanceId],
    ["Drained by", item.drained && item.cause?.by ? `${item.cause.by}${item.cause.text ? `: ${item.cause.text}` : ""}` : ""],
    ["Version", item.version], ["Category", categoryOf(item)], ["Heartbeats", item.livenessInterval > 0 ? `every ${whole(item.livenessInterval)}, SUSPENDED after ${whole(item.windowSeconds)} of silence` : "none: never SUSPENDED"],
    ["Missed in a row", item.missed > 0 ? String(item.missed) : ""], ["Changes of state", item.flaps > 0 ? `${item.flaps} lately` : ""], ["Subscribers", flapping(item)],
  ].filter(([, text]) => text);
  const addresses = endpointsOf(item);
  return el("dl", { class: "facts" }, ...rows.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, String(text))]),
    ...(addresses.length ? [el("dt", {}, "Addresses"), el("dd", {}, ...addresses.slice(0, 10).map((a) => el("code", {}, a)))] : []));
}

// names are those that other programs know it by.
function names(item) {
  const rows = [["serInstanceId", item.serInstanceId], ["appInstanceId", item.appInstanceId],
    ["ServiceComb's serviceId", item.serviceComb?.serviceId], ["ServiceComb's instanceId", item.serviceComb?.instanceId]].filter(([, text]) => text);
  return el("section", {}, el("h3", {}, "What programs call it"), el("dl", { class: "names" }, ...rows.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, el("code", {}, String(text)))])));
}

function transitions(list) {
  if (list.length === 0) return null;
  return el("section", {}, el("h3", {}, "What happened to it"), el("ol", { class: "plain times" }, ...list.toSorted((a, b) => (time(b.time) || 0) - (time(a.time) || 0)).slice(0, 20).map((t) => el("li", {},
    el("time", { datetime: absolute(t.time), title: absolute(t.time) }, stamp(time(t.time))), " ", el("strong", {}, t.from ? `${t.from} → ${t.to}` : `→ ${t.to}`),
    el("span", { class: "small" }, t.reason ? ` ${t.reason}` : "")))));
}

const errors = {
  gone: "it says that it is gone", redirect: "it sends us elsewhere", client_error: "it refuses notifications", server_error: "it answers with an error of its own",
  timeout: "it does not answer in time", forbidden: "its address is one that may not be called", unreachable: "it cannot be reached", untrusted: "its certificate is not trusted",
  cut_short: "it breaks its answers off", disconnected: "it has not connected",
};

// subscriptions are who is told, if that was looked at; asked: the server has answered.
function subscriptions(list, asked) {
  if (!list) return asked ? el("section", {}, el("h3", {}, "Who is told of it"), el("p", { class: "small" }, "Not looked at: there is too much to tell.")) : null;
  return el("section", {}, el("h3", {}, "Who is told of it"), list.length === 0 ? el("p", { class: "small" }, "Nobody has subscribed to it.")
    : el("ul", { class: "plain" }, ...list.slice(0, 50).map((s) => el("li", { "data-failing": s.lastError && !s.delivered ? "true" : null },
      el("strong", {}, stages[stageOf(s)]), el("span", { title: s.id ?? null }, ` ${s.appInstanceId ?? ""}`),
      s.lastError ? `: ${errors[s.lastError] ?? s.lastError}` : null, s.lastAttempt ? el("span", { class: "small", title: absolute(s.lastAttempt) }, ` at ${stamp(time(s.lastAttempt)).slice(0, 8)}`) : null)),
    list.length > 50 ? el("li", {}, `and ${list.length - 50} more`) : null));
}

function heartbeat(item) {
  return el("section", {}, el("h3", {}, "Its heartbeat"), command(`curl -X PATCH -H 'Content-Type: application/json' -d '{"state": "ACTIVE"}' ${quoted(new URL(`.${item.links.liveness}`, document.baseURI).href)}`));
}

// quoted is one word for a shell.
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// command shows a command with a button that copies it.
export function command(text) {
  const button = el("button", { type: "button", class: "copy", title: "Copy", onclick: async () => {
    try {
      await navigator.clipboard.writeText(text);
      setText(button, "copied");
      setTimeout(() => setText(button, "copy"), 1500);
    } catch { // without TLS, beyond loopback, browsers have no clipboard for pages
      getSelection().selectAllChildren(code);
    }
  } }, "copy");
  const code = el("code", {}, text);
  return el("div", { class: "command" }, el("pre", {}, code), button);
}
