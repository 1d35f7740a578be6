// What somebody looks for: words that stand anywhere in what is known of a service, or in one of
// its members (app:parking, category:"edge video"). In quotation marks a member is that, as a
// whole; small and capital letters are the same.

const token = /(?:(app|name|category|locality):)?("(?:[^"\\]|\\.)*"|\S+)/gi;
const begun = /^(app|name|category|locality):"?$/i; // somebody still types it

// shortened is as many whole words of a text as fit into so many characters.
export function shortened(text, most) {
  if (text.length <= most) return text;
  let end = 0;
  for (const m of text.matchAll(token)) {
    if (m.index + m[0].length > most) break;
    end = m.index + m[0].length;
  }
  return text.slice(0, end);
}

// wanted are the words of a text.
export function wanted(text) {
  const out = [];
  for (const [whole, member, value] of text.matchAll(token)) {
    if (begun.test(whole)) continue;
    const quoted = value.length > 1 && value.startsWith('"') && value.endsWith('"');
    const plain = quoted ? value.slice(1, -1).replace(/\\(.)/g, "$1") : value;
    out.push({ whole, member: (member ?? "").toLowerCase(), exact: quoted, value: plain.toLowerCase() });
  }
  return out;
}

// described is what words are looked for in: of each member its values, and all there is as one text.
export function described(members, ...more) {
  const out = {};
  const all = [...more];
  for (const [name, values] of Object.entries(members)) {
    out[name] = values.filter(Boolean).map((v) => String(v).toLowerCase());
    all.push(...out[name]);
  }
  out.text = all.filter(Boolean).join("\n").toLowerCase();
  return out;
}

// matches says whether all words are found.
export function matches(of, words) {
  return words.every((w) => (w.member === "" ? of.text.includes(w.value) : of[w.member].some((v) => (w.exact ? v === w.value : v.includes(w.value)))));
}

// chosen is the value that a text wants a member to be, in small letters; "": it wants none.
export const chosen = (text, member) => wanted(text).find((w) => w.member === member && w.exact)?.value ?? "";

// choose is the text that wants a member to be a value; "": any.
export function choose(text, member, value) {
  const rest = wanted(text).filter((w) => w.member !== member).map((w) => w.whole);
  if (value !== "") rest.push(`${member}:"${value.replace(/["\\]/g, "\\$&")}"`);
  return rest.join(" ");
}
