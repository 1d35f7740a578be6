// The keyboard: everything that a mouse can do on the board.

import { byId } from "./dom.js";
import { help } from "./dialogs.js";

// listen wires the keys. act has tile(n), pause, escape, and the table.
export function listen({ table, act }) {
  addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
    const typing = e.target.closest?.("input, textarea, select");
    if (e.key === "Escape") {
      act.escape(typing);
      e.preventDefault();
      return;
    }
    if (typing) {
      if (e.target.id === "filter" && (e.key === "ArrowDown" || e.key === "Enter")) {
        table.move(e.key === "Enter" ? 0 : table.selected ? 1 : 0);
        e.preventDefault();
      }
      return;
    }
    const own = e.target.closest?.("button, a, summary, [role=log]"); // which have keys of their own
    const todo = {
      "/": () => { byId("filter").focus(); byId("filter").select(); },
      "?": () => help(),
      p: () => act.pause(),
      ArrowDown: own ? null : () => table.move(1),
      ArrowUp: own ? null : () => table.move(-1),
      PageDown: own ? null : () => table.move(table.page()),
      PageUp: own ? null : () => table.move(-table.page()),
      Home: own ? null : () => table.move(-Infinity),
      End: own ? null : () => table.move(Infinity),
      Enter: own ? null : () => table.selected && table.onOpen(table.selected, { keyboard: true }),
    }[e.key] ?? (/^[1-7]$/.test(e.key) ? () => act.tile(Number(e.key) - 1) : null);
    if (todo) {
      todo();
      e.preventDefault();
    }
  });
}
