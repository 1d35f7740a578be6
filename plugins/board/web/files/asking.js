// Which questions the page asks of the server about services: everything while that is little,
// else what is late, what is seen, and what the stream told of.

import { ask, Refused } from "./api.js";
import * as clock from "./clock.js";
import { time } from "./format.js";
import { mostRows } from "./model.js";

const small = 200; // services that are asked for as a whole each time
const drawn = 500; // the same, while all are drawn with who is told of them
const page = 1000;
const longest = 1800; // characters of the ids in one question
const [questions, drawnQuestions] = [4, 16]; // about single services, in one round
const walkEvery = 60000; // ms until everything is asked for again
const [floodOf, floodEvery] = [200, 10000]; // so many changes, and it is asked for again so soon

export class Asking {
  // answered is called with each answer; seen are the ids of what can be seen.
  constructor({ model, seen, answered, draw }) {
    Object.assign(this, { model, seen, answered, draw });
    this.loading = true;
    this.walked = -Infinity;
    this.startedAt = "";
    this.deliveries = false; // whether it is asked who is told of each
  }

  // anew has everything asked for again.
  anew() {
    this.walked = -Infinity;
  }

  // question asks for state and takes it in.
  async question(parameters) {
    const more = this.deliveries && parameters.late === undefined && parameters.after === undefined ? { deliveries: "true" } : {};
    const { value, begun, ended } = await ask(`state?${new URLSearchParams({ ...parameters, ...more })}`);
    this.answered();
    const started = value.platform?.startedAt ?? "";
    if (started !== this.startedAt) {
      if (this.startedAt) { clock.forget(); this.anew(); }
      this.startedAt = started;
    }
    clock.learn(time(value.now), begun, ended);
    this.model.take(value);
    return value;
  }

  // patiently asks again, a second later, where the platform has too much to do: a page that was left
  // out would be missing.
  async patiently(parameters) {
    for (let tries = 0; ; tries++) {
      try {
        return await this.question(parameters);
      } catch (error) {
        if (!(error instanceof Refused) || ![429, 503].includes(error.status) || tries === 20) throw error;
        this.answered({ refused: true });
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
  }

  // walk asks for all services, page by page.
  async walk() {
    const begun = performance.now();
    this.model.walk++;
    let revision = null, after = "";
    const first = this.deliveries ? drawn : small;
    do {
      const value = await this.patiently({ limit: after ? page : first, ...(after ? { after } : {}) });
      revision ??= value.revision ?? 0;
      after = value.next ?? "";
      this.draw();
    } while (after && this.model.rows.size < mostRows);
    this.model.sweep(revision);
    if (this.loading) this.model.backfill(50);
    this.loading = false;
    this.walked = begun;
  }

  // recall asks for what happened in the last hour. It returns where the stream goes on behind it;
  // "": nobody said so, the past is not known, and the stream begins anew.
  async recall() {
    for (let tries = 0; tries < 2; tries++) {
      if (tries > 0) await new Promise((resolve) => setTimeout(resolve, 1000));
      try {
        const { value } = await ask("changes");
        this.answered();
        this.model.recall(value);
        return value.revision > 0 ? String(value.revision) : "";
      } catch (error) {
        if (error instanceof Refused && (error.status === 401 || error.status === 403)) throw error;
        if (error instanceof Refused && ![429, 503].includes(error.status)) break;
      }
    }
    this.model.knownSince(clock.now());
    return "";
  }

  // refresh asks about what may have changed.
  async refresh() {
    const { model } = this;
    const total = model.counts?.total ?? Infinity;
    if (this.loading || total <= (this.deliveries ? drawn : small) || performance.now() - this.walked > (model.wanted.size > floodOf ? floodEvery : walkEvery)) {
      await this.walk();
      return;
    }
    await this.question({ late: "true", limit: String(small) });
    const left = [...new Set([...this.seen(), ...model.wanted])];
    for (let n = 0; n < (this.deliveries ? drawnQuestions : questions) && left.length > 0; n++) {
      const ids = idsOf(left);
      const value = await this.question({ id: ids.join(","), limit: String(page) });
      const known = new Set((value.services ?? []).map((s) => s.serInstanceId));
      model.gone(ids.filter((id) => !known.has(id)));
    }
  }
}

// idsOf takes as many ids out of a list as fit into one question.
export function idsOf(left) {
  const ids = [left.shift()];
  for (let size = ids[0].length; left.length > 0 && (size += left[0].length + 3) < longest;) ids.push(left.shift());
  return ids;
}
