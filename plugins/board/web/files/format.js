// Numbers and times as people read them.

// span is a duration of s seconds, in at most two units.
export function span(s) {
  if (!Number.isFinite(s)) return "–";
  s = Math.max(0, s);
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 99.5) return `${Math.round(s)} s`;
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = units.findIndex(([size]) => s >= size);
  const [size, name] = units[at];
  const whole = Math.floor(s / size);
  const [smaller, smallerName] = units[at + 1];
  const rest = Math.floor((s - whole * size) / smaller);
  return rest > 0 && whole < 100 ? `${whole} ${name} ${rest} ${smallerName}` : `${whole} ${name}`;
}

// whole is a duration that somebody agreed on: 2 s, not 2.0 s.
export const whole = (s) => span(s).replace(".0 ", " ");

// ago is how long ago something was, in one unit.
export function ago(s) {
  if (!(s >= 99.5)) return `${span(s)} ago`;
  if (s < 5400) return `${Math.round(s / 60)} min ago`;
  return s < 172800 ? `${Math.round(s / 3600)} h ago` : `${Math.round(s / 86400)} d ago`;
}

// stamp is a time in the reader's own zone, to the millisecond.
export function stamp(ms) {
  if (!Number.isFinite(ms)) return "";
  const d = new Date(ms);
  const two = (n) => String(n).padStart(2, "0");
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${String(d.getMilliseconds()).padStart(3, "0")}`;
}

// absolute is what the title of a time says: all of it, in UTC.
export function absolute(text) {
  const ms = Date.parse(text);
  return Number.isFinite(ms) ? new Date(ms).toISOString() : "";
}

export const time = (text) => (text ? Date.parse(text) : NaN);

export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`;
}

const grouped = new Intl.NumberFormat("en");
export const count = (n) => grouped.format(n ?? 0);

export function bytes(n) {
  if (!Number.isFinite(n) || n <= 0) return "0 B";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const i = Math.min(units.length - 1, Math.floor(Math.log2(n) / 10));
  const v = n / 1024 ** i;
  return `${v < 10 && i > 0 ? v.toFixed(1) : Math.round(v)} ${units[i]}`;
}

// flapping says that subscribers are told of a service later, because it changes too often, and when:
// by the reader's own clock face, as the times beside it.
export function flapping(item) {
  if (!item.flapping) return "";
  const until = stamp(time(item.flapping.until)).slice(0, 8);
  return `it flaps: ${plural(item.flapping.changes, "change")}, ${until ? `subscribers are told at ${until}` : "told once a period"}`;
}
