// The server's clock, seen from here. The reader's own clock may be wrong or be set meanwhile, so
// only the time since the page was opened is taken from this machine.

const samples = []; // of the last answers: how long each took, and what the difference was then
const most = 16;

// learn takes in what the server said its time was, in an answer asked for at begun and had at
// ended (both of performance.now). The quickest answer says it best.
export function learn(serverTime, begun, ended) {
  if (!Number.isFinite(serverTime)) return;
  samples.push({ took: ended - begun, offset: serverTime - (begun + ended) / 2 });
  if (samples.length > most) samples.shift();
}

// forget is for a server that was started anew, perhaps on another machine.
export function forget() {
  samples.length = 0;
}

// now is the server's time in milliseconds; NaN: it has not said so yet.
export function now() {
  if (samples.length === 0) return NaN;
  let best = samples[0];
  for (const s of samples) if (s.took < best.took) best = s;
  return best.offset + performance.now();
}
