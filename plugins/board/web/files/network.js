// Who has what and who is told of it: applications, their services, and subscribers, in three
// columns. It knows nothing of elements.

export const mostNodes = 500;
export const mostEdges = 2000;

// The ways in which a subscriber may have got the last change of a service, the worst first.
export const stages = {
  failing: "✕ failing", lost: "✕ not reached", waiting: "… waiting", elsewhere: "⇢ another replica tells it", told: "✓ told",
};
const badness = Object.keys(stages);

// stageOf is how far a subscriber has got with the last change.
export function stageOf(s) {
  if (s.delivered) return "told";
  if (s.elsewhere && !s.pending) return "elsewhere";
  if (s.pending === false) return "lost";
  return s.lastError ? "failing" : "waiting";
}

// networkOf is that of some instances. deliveries has, by their ids, who is told of each.
export function networkOf(rows, deliveries) {
  const apps = new Map(), services = [], subscribers = new Map(), edges = new Map();
  for (const row of rows) {
    const owner = String(row.item.appInstanceId ?? "");
    let app = apps.get(owner);
    if (!app) apps.set(owner, (app = { id: `a ${owner}`, column: 0, label: row.app, of: owner, n: 0 }));
    app.n++;
    const service = { id: `s ${row.id}`, column: 1, label: row.name, kind: row.kind, row, app, asked: deliveries.has(row.id) };
    services.push(service);
    for (const s of deliveries.get(row.id) ?? []) {
      const who = String(s.appInstanceId || s.id);
      let subscriber = subscribers.get(who);
      if (!subscriber) subscribers.set(who, (subscriber = { id: `t ${who}`, column: 2, label: who, at: 0, n: 0, stages: new Map() }));
      const stage = stageOf(s), id = `${service.id} ${who}`, before = edges.get(id);
      if (!before) edges.set(id, { from: service, to: subscriber, stage });
      else if (badness.indexOf(stage) < badness.indexOf(before.stage)) before.stage = stage; // it has several subscriptions
    }
  }
  const told = [...edges.values()];
  for (const e of told) e.to.stages.set(e.stage, (e.to.stages.get(e.stage) ?? 0) + 1);
  const size = apps.size + services.length + subscribers.size;
  return { apps: [...apps.values()], services, subscribers: [...subscribers.values()], told, size, large: size > mostNodes || told.length > mostEdges };
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

// place gives each node its line, counted from the top: services beside each other that are of one
// application, and applications and subscribers as near as may be to the services that they have.
export function place(network) {
  const { apps, services, subscribers, told } = network;
  services.sort((a, b) => compare(a.app.label, b.app.label) || compare(a.app.of, b.app.of) || compare(a.label, b.label) || compare(a.row.id, b.row.id));
  for (const app of apps) app.at = 0;
  services.forEach((s, i) => { s.line = i; s.app.at += i / s.app.n; });
  for (const e of told) { e.to.at += e.from.line; e.to.n++; }
  for (const t of subscribers) t.at /= t.n;
  let lines = services.length;
  for (const column of [apps, subscribers]) {
    column.sort((a, b) => a.at - b.at || compare(a.id, b.id));
    let last = -1;
    for (const node of column) last = node.line = Math.max(node.at, last + 1);
    // what was pushed down too far moves up again, where there is room
    for (let i = column.length - 1, most = Math.max(services.length, column.length) - 1; i >= 0; i--, most = column[i + 1].line - 1) column[i].line = Math.min(column[i].line, most);
    lines = Math.max(lines, column.length);
  }
  network.lines = lines;
  return network;
}
