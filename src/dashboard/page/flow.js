// The task stream, live: what workers did in the last seconds, held still while somebody looks closely.

import { Keyed, counted, find, format, make, prefixColour, setAttribute, setText, show } from "./elements.js";

/** So long a time is shown, in seconds. */
const WINDOW = 30;
/** A prefix stays in the legend for so long after its last task. */
const REMEMBERED = 60;
const LEGEND = 24;
/** The keys of so many blocks are remembered, for those who point at one. */
const NAMED = 300_000;
/** What is said of a prefix that the cluster does not tell of, because there are too many. */
const OTHER = "other prefixes";
/** So many blocks wait at most while the stream stands still. */
const HELD = 400_000;

export class Flow {
  #stream = null;
  #rows = new Map();
  /** By run: the place in the palette of each of its prefixes. */
  #places = new Map();
  #named = [];
  #namedCount = 0;
  #next = 0;
  #held = [];
  #heldCount = 0;
  #seen = new Map();
  #open = new Map();
  /** By row: when the last of its tasks ended. */
  #ends = [];
  #highlighted = null;
  #at = 0;
  #first = 0;
  #count = 0;
  #failures = 0;

  constructor(palette) {
    this.palette = palette;
    this.note = find("stream-note");
    this.told = this.note.textContent;
    this.legend = new Keyed(make("ul", { class: "legend", "aria-label": "Key prefixes of the last minute" }), {
      key: (place) => place,
      make: (place) => this.#entry(place),
    });
  }

  get #isLive() {
    return this.#stream.liveButton.getAttribute("aria-pressed") === "true";
  }

  snapshot(snapshot) {
    this.#at = snapshot.at;
    this.#places.clear();
    for (const { id, prefixes } of snapshot.runs) {
      this.#places.set(id, new Map(prefixes.map(({ place, name }) => [place, this.palette.place(name)])));
    }
    if (snapshot.workers.length === 0 && !this.#stream) return;
    const known = this.#rows.size;
    for (const { id } of snapshot.workers) if (!this.#rows.has(id)) this.#rows.set(id, this.#rows.size);
    if (!this.#stream) this.#first = this.#at;
    this.#stream ??= this.#start();
    if (this.#rows.size !== known) this.#stream.update({ workers: [...this.#rows.keys()] });
    this.#stream.update({ prefixes: this.palette.names });
    const isLive = this.#isLive;
    if (isLive) {
      this.#flush();
      // At first there is less to be seen than there is room for.
      const shown = this.#at - this.#first;
      if (shown < WINDOW + 2) this.#stream.follow(Math.min(WINDOW, Math.max(shown, 4)));
      this.#stream.running(this.#running(snapshot.workers));
      this.#stream.advance(this.#at);
    }
    const waiting = this.#heldCount > 0 ? `; ${counted(this.#heldCount, "piece")} of work wait` : "";
    setText(this.note, isLive ? this.told : `Standing still${waiting}. “Live” goes on.`);
    this.#fillLegend();
  }

  #start() {
    const container = find("stream-drawing");
    const describe = (number, span) => this.#describe(number, span);
    const tally = () => ({ tasks: this.#count, failed: this.#failures });
    const stream = new globalThis.MobulaStream.TaskStream(container, { describe, tally, legend: false });
    container.append(this.legend.container);
    stream.follow(WINDOW);
    stream.liveButton.title = "Goes on with the present; off, the stream stands still";
    stream.liveButton.addEventListener("click", () => this.#isLive && this.#flush());
    return stream;
  }

  blocks(columns) {
    if (!this.#stream) return;
    const length = columns.from.length;
    const worker = new Uint32Array(length);
    const prefix = new Uint32Array(length);
    const tasks = new Uint32Array(length);
    for (let i = 0; i < length; i += 1) {
      let row = this.#rows.get(columns.worker[i]);
      if (row === undefined) {
        row = this.#rows.size;
        this.#rows.set(columns.worker[i], row);
        this.#stream.update({ workers: [...this.#rows.keys()] });
      }
      worker[i] = row;
      prefix[i] = this.#places.get(columns.run[i])?.get(columns.prefix[i]) ?? this.palette.place(OTHER);
      this.#seen.set(prefix[i], this.#at);
      tasks[i] = this.#next + i;
      this.#count += columns.tasks[i];
      this.#failures += columns.failed[i];
      if (!(columns.to[i] <= this.#ends[row])) this.#ends[row] = columns.to[i];
    }
    show(find("stream-empty"), this.#count === 0);
    this.#named.push({ first: this.#next, run: columns.run, tasks: columns.tasks, key: columns.key });
    this.#next += length;
    this.#namedCount += length;
    while (this.#namedCount > NAMED && this.#named.length > 1) this.#namedCount -= this.#named.shift().key.length;
    const batch = { from: columns.from, to: columns.to, worker, prefix, failed: columns.failed, tasks };
    if (this.#isLive) {
      this.#flush();
      this.#stream.append(batch);
      return;
    }
    this.#held.push(batch);
    this.#heldCount += length;
    while (this.#heldCount > HELD) this.#heldCount -= this.#held.shift().from.length;
  }

  #flush() {
    for (const batch of this.#held) this.#stream.append(batch);
    this.#held = [];
    this.#heldCount = 0;
  }

  #describe(number, { from, to, worker, failed, running, prefix }) {
    const workers = [...this.#rows.keys()];
    if (running) return `${number}\nworker ${workers[worker]}, running for about ${format.seconds(to - from)}`;
    const batch = this.#named.findLast((one) => one.first <= number);
    const at = batch ? number - batch.first : 0;
    const tasks = batch?.tasks[at] ?? 1;
    const key = batch?.key[at] || this.palette.names[prefix] || "a task";
    const lines = [tasks > 1 ? `${key} and ${counted(tasks - 1, "other")} of ${this.palette.names[prefix]}` : key];
    lines.push(`${batch ? `run ${batch.run[at]}, ` : ""}worker ${workers[worker]}`);
    lines.push(`${format.seconds(to - from)}, ended at ${format.seconds(to)}${failed ? ", failed" : ""}`);
    return lines.join("\n");
  }

  /** What workers are in, since when they were seen in it. */
  #running(workers) {
    const open = new Map();
    const spans = { from: [], worker: [], prefix: [], tasks: [] };
    for (const { id, task, run, since } of workers) {
      if (task === null) continue;
      const old = this.#open.get(id);
      const one = old?.task === task && old.run === run ? old : { task, run, from: since ?? this.#at };
      open.set(id, one);
      const row = this.#rows.get(id);
      spans.from.push(Math.max(one.from, this.#ends[row] ?? 0));
      spans.worker.push(row);
      spans.prefix.push(this.#prefixOf(task, run));
      spans.tasks.push(task);
    }
    this.#open = open;
    return spans;
  }

  /** The prefix of a key of which only the text is known: the longest one that it begins with. */
  #prefixOf(task, run) {
    const text = task.replace(/^[('"]+/, "");
    let best = null;
    for (const place of this.#places.get(run)?.values() ?? []) {
      const name = this.palette.names[place];
      if (text.startsWith(name) && (best === null || name.length > this.palette.names[best].length)) best = place;
    }
    return best ?? this.palette.place(OTHER);
  }

  #fillLegend() {
    for (const [place, at] of this.#seen) if (at < this.#at - REMEMBERED && place !== this.#highlighted) this.#seen.delete(place);
    this.legend.update([...this.#seen.keys()].sort((a, b) => a - b).slice(0, LEGEND));
  }

  #entry(place) {
    const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = prefixColour(place);
    const button = make("button", { type: "button", "aria-pressed": "false" }, swatch, this.palette.names[place]);
    button.addEventListener("click", () => {
      this.#highlighted = this.#highlighted === place ? null : place;
      this.#stream.highlight(this.#highlighted);
      for (const other of this.#seen.keys()) this.legend.get(other)?.press(other === this.#highlighted);
    });
    const press = (isPressed) => setAttribute(button, "aria-pressed", isPressed);
    return { element: make("li", {}, button), update() {}, press };
  }
}
