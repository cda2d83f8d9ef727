// The workers and the state actors, as tables.

import { Keyed, counted, find, format, make, setAttribute, setNumber, setText, show } from "./elements.js";

const MOST = 128;

function table(caption, heads) {
  const row = make("tr", {}, ...heads.map(([name, kind]) => {
    const attributes = { scope: "col", class: kind === "number" ? "number" : null, "data-sort": kind };
    return make("th", attributes, name);
  }));
  const body = make("tbody");
  const whole = make("table", {}, make("caption", { class: "unseen" }, caption), make("thead", {}, row), body);
  globalThis.MobulaTables.sortable(whole);
  const scroll = make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption }, whole);
  return { body, scroll };
}

export class Workers {
  constructor(lookUp) {
    const heads = [
      ["Worker", "number"],
      ["Kind", "text"],
      ["Process", "number"],
      ["State", "text"],
      ["Task", "text"],
      ["In it for", "number"],
      ["Run", "number"],
      ["Tasks ended", "number"],
      ["Busy lately", "number"],
      ["Resident", "number"],
    ];
    const { body, scroll } = table("Workers", heads);
    this.list = find("workers-list");
    this.empty = this.list.firstElementChild;
    this.scroll = scroll;
    scroll.hidden = true;
    this.more = make("p", { class: "note", hidden: true });
    this.list.append(scroll, this.more);
    this.keyed = new Keyed(body, { key: ({ id }) => id, make: (worker) => new WorkerRow(worker, lookUp), keepsOrder: true });
  }

  update({ at, workers }) {
    this.keyed.update(workers.slice(0, MOST).map((worker) => ({ ...worker, at })));
    show(this.empty, workers.length === 0);
    show(this.scroll, workers.length > 0);
    const left = workers.length - MOST;
    show(this.more, left > 0);
    setText(this.more, left > 0 ? `and ${format.count(left)} more` : "");
    const busy = workers.filter(({ state }) => state === "busy").length;
    const stuck = workers.filter(({ state }) => state === "stuck").length;
    const share = workers.reduce((sum, worker) => sum + worker.busy, 0) / Math.max(workers.length, 1);
    const words = [`${format.count(busy)} of ${counted(workers.length, "worker")} in tasks`, `${percent(share)} busy lately`];
    if (stuck > 0) words.push(`${format.count(stuck)} stuck`);
    setText(find("workers-note"), workers.length ? words.join(", ") : "");
    return { busy, all: workers.length };
  }
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}

class WorkerRow {
  constructor({ id }, lookUp) {
    const cell = (kind) => make("td", kind === "number" ? { class: "number" } : {});
    this.kind = cell();
    this.pid = cell("number");
    this.status = make("span", { class: "status" });
    this.state = make("td", {}, this.status);
    this.button = make("button", { type: "button", class: "key", title: "Look up this key" });
    this.button.addEventListener("click", () => lookUp(this.button.textContent));
    this.task = make("td", { class: "task" }, this.button);
    this.since = cell("number");
    this.run = cell("number");
    this.tasks = cell("number");
    this.fill = make("i");
    this.share = make("span");
    this.busy = make("td", { class: "number" }, this.share, make("span", { class: "bar", "aria-hidden": "true" }, this.fill));
    this.resident = cell("number");
    this.element = make(
      "tr",
      { "data-worker": id },
      make("th", { scope: "row", class: "number", "data-value": id }, String(id)),
      this.kind,
      this.pid,
      this.state,
      this.task,
      this.since,
      this.run,
      this.tasks,
      this.busy,
      this.resident,
    );
  }

  update(worker) {
    setText(this.kind, worker.kind);
    setNumber(this.pid, worker.pid ?? -1, worker.pid === null ? "–" : String(worker.pid));
    setAttribute(this.element, "data-state", worker.state);
    setText(this.status, worker.state);
    setText(this.button, worker.task ?? "");
    show(this.button, worker.task !== null);
    const inside = worker.since === null ? -1 : worker.at - worker.since;
    // Shorter times say when somebody looked, not how long the task took.
    setNumber(this.since, inside, inside < 1 ? "–" : format.seconds(Math.floor(inside)));
    setNumber(this.run, worker.run ?? -1, worker.run === null ? "–" : String(worker.run));
    setNumber(this.tasks, worker.tasks, format.count(worker.tasks));
    setAttribute(this.busy, "data-value", worker.busy);
    setText(this.share, percent(worker.busy));
    const width = percent(worker.busy).replace(" ", "");
    if (this.fill.style.width !== width) this.fill.style.width = width;
    setNumber(this.resident, worker.resident ?? -1, worker.resident === null ? "–" : format.bytes(worker.resident));
  }
}

export class States {
  constructor() {
    const { body, scroll } = table("State actors", [["Name", "text"], ["Messages", "number"], ["Alive", "text"]]);
    this.list = find("states-list");
    this.empty = this.list.firstElementChild;
    this.scroll = scroll;
    this.more = make("p", { class: "note", hidden: true });
    this.list.append(scroll, this.more);
    this.keyed = new Keyed(body, { key: ({ key }) => key, make: stateRow, keepsOrder: true });
  }

  update({ states }) {
    // Two of them may have one name.
    this.keyed.update(states.slice(0, MOST).map((state, place) => ({ ...state, key: `${place} ${state.name}` })));
    show(this.empty, states.length === 0);
    show(this.scroll, states.length > 0);
    const left = states.length - MOST;
    show(this.more, left > 0);
    setText(this.more, left > 0 ? `and ${format.count(left)} more` : "");
  }
}

function stateRow({ name }) {
  const messages = make("td", { class: "number" });
  const status = make("span", { class: "status" });
  const element = make("tr", { "data-state-actor": name }, make("th", { scope: "row", class: "name" }, name), messages, make("td", {}, status));
  return {
    element,
    update(state) {
      setNumber(messages, state.messages, format.count(state.messages));
      setAttribute(element, "data-alive", state.is_alive);
      setText(status, state.is_alive ? "alive" : "ended");
      setAttribute(status, "class", state.is_alive ? "status status-done" : "status");
    },
  };
}
