// The two dialogs: an operator's reason for a drain, and the help.

import { byId, el, setText } from "./dom.js";
import { ask } from "./api.js";
import { chip } from "./icons.js";

const drainPath = (id) => `services/${encodeURIComponent(id)}/drain`;

// drain asks for a reason and takes a service out, or brings it back. done is called with the
// answer of the server.
export function drain(row, { back, lastOne, done }) {
  const box = byId("drain");
  const failed = el("p", { class: "failed", role: "alert" });
  const reason = el("input", { id: "drain-reason", required: true, maxlength: 256, autocomplete: "off", placeholder: "for example: its disk is replaced" });
  const submit = el("button", { class: back ? "primary" : "danger" }, back ? "Undrain" : "Drain");
  const send = async (e) => {
    e.preventDefault();
    const text = reason.value.trim();
    if (!back && text === "") return;
    submit.disabled = true;
    setText(failed, "");
    try {
      const { value } = await ask(drainPath(row.id), back ? { method: "DELETE" } : { method: "PUT", body: { reason: text } });
      box.close();
      done(value);
    } catch (error) {
      setText(failed, error.name === "AbortError" ? "The platform did not answer in time; look whether it was done." : error.message);
    } finally {
      submit.disabled = false;
    }
  };
  box.replaceChildren(el("form", { onsubmit: send },
    el("h2", { id: "drain-title" }, back ? `Bring ${row.name} back?` : `Take ${row.name} out of service?`),
    el("p", {}, back ? "It is ACTIVE again with its next heartbeat, unless its application has set it INACTIVE."
      : "It becomes INACTIVE and is discovered no longer, until it is undrained. Its heartbeats do not bring it back. Whoever subscribed is told, with the reason."),
    lastOne && !back ? el("p", { class: "banner", "data-kind": "down" }, `This is the last instance of ${row.name} that answers.`) : null,
    back ? null : el("label", { for: "drain-reason" }, "Reason, which everybody can read ", reason),
    failed,
    el("p", { class: "buttons" }, el("button", { type: "button", onclick: () => box.close() }, "Cancel"), submit)));
  box.showModal();
  if (!back) reason.focus();
}

const keys = [
  ["/", "filter"], ["↓ ↑", "choose a service"], ["Page, Home, End", "further"], ["Enter", "show it"], ["Escape", "close, or clear the filter"],
  ["1 … 7", "one of the tiles"], ["s", "one row for each service name"], ["→ ←", "open it, close it"], ["g", "the graph; arrows go along it"], ["p", "pause the display"], ["?", "this help"],
];

const states = [
  ["ACTIVE", "sends its heartbeats, and is discovered"],
  ["late", "a heartbeat is missing; it is still discovered while there is time left"],
  ["SUSPENDED", "silent for too long: discovered no longer, until it is heard again"],
  ["INACTIVE", "its application said so"],
  ["drained", "an operator took it out"],
];

export function help() {
  const box = byId("help");
  if (!box.firstChild) {
    box.append(el("h2", { id: "help-title" }, "What is shown"),
      el("dl", { class: "states" }, ...states.flatMap(([kind, text]) => [el("dt", {}, chip(kind)), el("dd", {}, text)])),
      el("p", {}, "The bar is how long a service may go on being silent, its window, and runs out by the platform's clock. At the mark a heartbeat is due. "
        + "The small columns are the last gaps between heartbeats; the line is the interval that was agreed."),
      el("h2", {}, "Keys"),
      el("dl", { class: "keys" }, ...keys.flatMap(([key, text]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, text)])),
      el("p", { class: "buttons" }, el("a", { href: "docs", target: "_blank", rel: "noopener" }, "The API"), el("button", { type: "button", class: "primary", autofocus: true, onclick: () => box.close() }, "Close")));
  }
  if (!box.open) box.showModal();
}
