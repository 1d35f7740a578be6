// A service name as the worst of its instances: what the table shows when it is grouped. It knows
// nothing of elements.

// worst has the states in the order in which one counts more than those behind it.
const worst = ["SUSPENDED", "late", "drained", "INACTIVE", "ACTIVE", "none"];
const badness = (kind) => (worst.includes(kind) ? worst.indexOf(kind) : worst.length);

// Group is a name with its instances: those that there are, and those that the filter shows.
class Group {
  constructor(name) {
    this.group = true;
    this.id = `\n${name}`; // no instance has such an id
    this.name = name;
    this.kind = "none";
    this.all = 0;
    this.counts = new Map(); // of each state
    this.worst = []; // the instances that are in the worst state
    this.rows = [];
    this.opened = false;
  }

  add(row) {
    this.all++;
    this.counts.set(row.kind, (this.counts.get(row.kind) ?? 0) + 1);
    if (this.worst.length === 0 || badness(row.kind) < badness(this.kind)) {
      this.kind = row.kind;
      this.worst = [];
    }
    if (row.kind === this.kind) this.worst.push(row);
  }

  // states are the states of its instances with how many are in each, the worst first.
  states() {
    return [...this.counts].sort((a, b) => badness(a[0]) - badness(b[0]));
  }

  // since is when the last of those in the worst state came to it.
  since() {
    return this.worst.reduce((newest, row) => Math.max(newest, row.since || 0), 0);
  }

  // next is the late instance that has the least time left.
  next() {
    return this.kind === "late" ? this.worst.reduce((a, b) => ((b.deadline || Infinity) < (a.deadline || Infinity) ? b : a)) : null;
  }

  apps() {
    return new Set(this.rows.map((row) => row.app));
  }
}

// lines are what the table shows of a list of instances: each name where its first instance stands,
// and below it, where it is opened, those of its instances that are in the list. How a name is is
// said by all of its instances.
export function lines(list, all, opened) {
  const groups = new Map();
  for (const row of all) {
    let g = groups.get(row.name);
    if (!g) groups.set(row.name, (g = new Group(row.name)));
    g.add(row);
  }
  const inOrder = new Set();
  for (const row of list) {
    const g = groups.get(row.name);
    g.rows.push(row);
    inOrder.add(g);
  }
  const out = [];
  for (const g of inOrder) {
    out.push(g);
    g.opened = opened.includes(g.name);
    if (g.opened) for (const row of g.rows) out.push(row);
  }
  return out;
}

export const names = (lines) => lines.reduce((n, line) => n + (line.group ? 1 : 0), 0);
