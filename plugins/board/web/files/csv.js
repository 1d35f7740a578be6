// What is shown, as a file: for spreadsheets, or as JSON.

import { el } from "./dom.js";
import { categoryOf, endpointsOf } from "./model.js";

const columns = [
  ["serName", (r) => r.name], ["state", (r) => r.item.state], ["shownAs", (r) => (r.kind === "none" ? "without heartbeats" : r.kind)], ["since", (r) => r.item.since],
  ["reason", (r) => r.item.reason], ["appInstanceId", (r) => r.item.appInstanceId], ["appName", (r) => r.item.appName], ["serInstanceId", (r) => r.id],
  ["version", (r) => r.item.version], ["category", (r) => categoryOf(r.item)], ["locality", (r) => r.item.locality], ["lastHeartbeat", (r) => r.item.lastHeartbeat], ["intervalSeconds", (r) => r.item.livenessInterval],
  ["windowSeconds", (r) => r.item.windowSeconds], ["deadline", (r) => r.item.deadline], ["missed", (r) => r.item.missed], ["changesOfState", (r) => r.item.flaps],
  ["told", (r) => r.item.notified?.told], ["waiting", (r) => r.item.notified?.pending], ["failing", (r) => r.item.notified?.failing?.length], ["addresses", (r) => endpointsOf(r.item).join(" ")],
];

// cell is a value as CSV has it (RFC 4180). What a spreadsheet would take for a formula is kept from
// being one by an apostrophe: names are written by applications. Where its separator is another than
// the comma, quotation marks within a line are text to it, and a part of a name is a cell of its own.
export function cell(value) {
  let text = String(value ?? "");
  if (/^\s*[=+\-@＝＋－＠]|^[\t\r\n]/.test(text)) text = `'${text}`;
  text = text.replace(/([;|\t\r\n][\s"]*)(?=[=+\-@＝＋－＠])/g, "$1'");
  return /[",\r\n;\t]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const csvOf = (rows) => [columns.map(([name]) => name), ...rows.map((r) => columns.map(([, of]) => of(r)))].map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";

// save has the browser keep the rows as a file.
export const save = (rows, now) => keep(["\ufeff", csvOf(rows)], "text/csv;charset=utf-8", now, "csv");

// saveJSON does so as the server says it of each; about is what else the file says.
export const saveJSON = (rows, about, now) => keep([JSON.stringify({ ...about, services: rows.map((r) => r.item) }, null, 2), "\n"], "application/json", now, "json");

function keep(parts, type, now, ending) {
  const href = URL.createObjectURL(new Blob(parts, { type }));
  el("a", { href, download: `services-${now.toISOString().slice(0, 19).replaceAll(":", "")}.${ending}` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60000);
}
