// What is asked of the server, and the stream of what changes. Addresses are relative to the page,
// so that the board works behind a proxy that serves it below a path of its own.

const base = new URL("mec_liveness/v1/", document.baseURI);
const answerTime = 5000; // ms until a request counts as unanswered

export class Refused extends Error {
  constructor(status, detail) {
    super(detail || `The platform answered ${status}.`);
    this.status = status;
  }
}

export function address(path) {
  return new URL(path, base);
}

// ask sends one request and returns its JSON, with when it was asked and answered.
export async function ask(path, { method = "GET", body, signal } = {}) {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(), answerTime);
  signal?.addEventListener("abort", () => ending.abort(), { once: true });
  const begun = performance.now();
  try {
    const answer = await fetch(address(path), {
      method, signal: ending.signal, cache: "no-store", credentials: "same-origin", redirect: "error",
      headers: { Accept: "application/json", ...(body ? { "Content-Type": "application/json" } : {}) },
      body: body ? JSON.stringify(body) : undefined,
    });
    const ended = performance.now();
    if (!answer.ok) throw new Refused(answer.status, await detailOf(answer));
    return { value: await answer.json(), begun, ended };
  } finally {
    clearTimeout(timer);
  }
}

async function detailOf(answer) {
  try {
    const problem = await answer.json();
    return typeof problem.detail === "string" ? problem.detail : "";
  } catch {
    return "";
  }
}

// Stream reads the events of the server, again from the last one after each interruption. It is
// read with fetch: an EventSource says nothing of why it was refused, and sends no last id of a
// stream that was closed on purpose.
export class Stream {
  constructor(on) {
    this.on = on; // heard(), event(type, data), refused(error), state(word)
    this.last = "";
    this.closing = null;
    this.failures = 0;
  }

  open() {
    if (this.closing) return;
    this.closing = new AbortController();
    this.run(this.closing.signal);
  }

  close() {
    this.closing?.abort();
    this.closing = null;
  }

  async run(signal) {
    while (!signal.aborted) {
      try {
        await this.read(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
          this.on.refused(error);
          return;
        }
      }
      if (signal.aborted) return;
      this.on.state("reconnecting");
      this.failures = Math.min(this.failures + 1, 5);
      await pause(Math.min(5000, 250 * 2 ** this.failures) * (0.75 + Math.random() / 2), signal);
    }
  }

  async read(signal) {
    const headers = { Accept: "text/event-stream" };
    if (this.last) headers["Last-Event-ID"] = this.last;
    const answer = await fetch(address("events"), { signal, headers, cache: "no-store", credentials: "same-origin", redirect: "error" });
    if (!answer.ok) throw new Refused(answer.status, await detailOf(answer));
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let event = { type: "message", data: [], id: null };
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.failures = 0;
      this.on.heard();
      this.on.state("live");
      rest += value;
      if (!value.includes("\n")) continue; // a long line comes in many pieces
      const lines = rest.split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) event = this.take(event, line);
    }
  }

  // take is one line of the stream (HTML standard §9.2.6).
  take(event, line) {
    if (line === "") {
      if (event.id !== null) this.last = event.id;
      if (event.data.length > 0) this.dispatch(event);
      return { type: "message", data: [], id: null };
    }
    if (line.startsWith(":")) return event;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "event") event.type = value;
    else if (field === "data") event.data.push(value);
    else if (field === "id" && !value.includes("\0")) event.id = value;
    return event;
  }

  dispatch(event) {
    let data;
    try {
      data = JSON.parse(event.data.join("\n"));
    } catch {
      return; // a newer server may say more than this page understands
    }
    this.on.event(event.type, data);
  }
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
