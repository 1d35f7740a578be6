// What is shown, as a file for spreadsheets.

import { el } from "./dom.js";
import { categoryOf, endpointsOf } from "./model.js";

const columns = [
  ["serName", (r) => r.name], ["state", (r) => r.item.state], ["shownAs", (r) => (r.kind === "none" ? "without heartbeats" : r.kind)], ["since", (r) => r.item.since],
  ["reason", (r) => r.item.reason], ["appInstanceId", (r) => r.item.appInstanceId], ["appName", (r) => r.item.appName], ["serInstanceId", (r) => r.id],
  ["version", (r) => r.item.version], ["category", (r) => categoryOf(r.item)], ["lastHeartbeat", (r) => r.item.lastHeartbeat], ["intervalSeconds", (r) => r.item.livenessInterval],
  ["windowSeconds", (r) => r.item.windowSeconds], ["deadline", (r) => r.item.deadline], ["missed", (r) => r.item.missed], ["changesOfState", (r) => r.item.flaps],
  ["told", (r) => r.item.notified?.told], ["waiting", (r) => r.item.notified?.pending], ["failing", (r) => r.item.notified?.failing?.length], ["addresses", (r) => endpointsOf(r.item).join(" ")],
];

// cell is a value as CSV has it (RFC 4180). What a spreadsheet would take for a formula is kept from
// being one by an apostrophe: names are written by applications.
export function cell(value) {
  let text = String(value ?? "");
  if (/^\s*[=+\-@＝＋－＠]|^[\t\r\n]/.test(text)) text = `'${text}`;
  return /[",\r\n;\t]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const csvOf = (rows) => [columns.map(([name]) => name), ...rows.map((r) => columns.map(([, of]) => of(r)))].map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";

// save has the browser keep the rows as a file.
export function save(rows, now) {
  const href = URL.createObjectURL(new Blob(["\ufeff", csvOf(rows)], { type: "text/csv;charset=utf-8" }));
  el("a", { href, download: `services-${now.toISOString().slice(0, 19).replaceAll(":", "")}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60000);
}
