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
        if (byId("scroll").hidden) act.enter();
        else table.move(e.key === "Enter" ? 0 : table.selected ? 1 : 0);
        e.preventDefault();
      }
      return;
    }
    const own = e.target.closest?.("button, a, summary, [role=log], [role=button], #network"); // which have keys of their own
    if (!own && byId("scroll").hidden && ["ArrowDown", "ArrowUp", "Enter"].includes(e.key)) {
      act.enter(); // the graph is shown instead of the table
      e.preventDefault();
      return;
    }
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
      ArrowRight: own || !table.grouped ? null : () => table.unfold(true),
      ArrowLeft: own || !table.grouped ? null : () => table.unfold(false),
      Enter: own ? null : () => table.activate({ keyboard: true }),
      s: () => act.group(),
      g: () => act.graph(),
    }[e.key] ?? (/^[1-7]$/.test(e.key) ? () => act.tile(Number(e.key) - 1) : null);
    if (todo) {
      todo();
      e.preventDefault();
    }
  });
}
