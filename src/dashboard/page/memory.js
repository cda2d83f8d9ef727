// What memory is taken, and how many tasks end in a second: the last minutes, and the numbers of now.

import { Figures, find, format, make, rate, setAttribute, setText } from "./elements.js";

/** So much time is shown, in seconds. */
const WINDOW = 180;
const { TimeChart } = globalThis.MobulaCharts;

/** Shows what there is since we look, until there is more than there is room for. */
function follow(chart, first, at) {
  chart.follow(Math.min(WINDOW, Math.max(at - first, 5)));
}

export class Memory {
  #chart = null;
  #first = 0;

  constructor() {
    this.figures = new Figures(find("memory-figures"), "data-memory", [
      ["bytes", "Values in memory"],
      ["limit", "Limit"],
      ["spilled_bytes", "Values on disk"],
      ["resident", "Resident"],
    ]);
    this.meter = make("div", { class: "progress", role: "meter", "aria-label": "Values of the limit", "aria-valuemin": 0 });
    this.part = make("i", { class: "state-running" });
    this.meter.append(this.part);
    find("memory-figures").before(this.meter);
  }

  update({ at, memory }) {
    if (!this.#chart) this.#first = at;
    this.#chart ??= new TimeChart(find("memory-drawing"), {
      label: "Memory over time",
      series: [
        { name: "values in memory", colour: 0, area: true },
        { name: "values on disk", colour: 1, area: true },
        { name: "resident, all processes", colour: 5 },
      ],
      limit: memory.limit === null ? null : { name: "limit", value: memory.limit },
      height: 170,
    });
    const resident = memory.resident + memory.resident_workers;
    this.#chart.append({ at: [at], values: [[memory.bytes], [memory.spilled_bytes], [resident]] });
    follow(this.#chart, this.#first, at);
    const { figures } = this;
    figures.set("bytes", memory.bytes, format.bytes(memory.bytes), values(memory.values));
    const share = memory.limit ? memory.bytes / memory.limit : 0;
    const taken = memory.limit === null ? "values may take all there is" : `${format.share(share)} taken`;
    figures.set("limit", memory.limit, memory.limit === null ? "none" : format.bytes(memory.limit), taken);
    const disk = memory.disk_bytes > 0 ? `, ${format.bytes(memory.disk_bytes)} of files` : "";
    figures.set("spilled_bytes", memory.spilled_bytes, format.bytes(memory.spilled_bytes), values(memory.spilled_values) + disk);
    const workers = memory.resident_workers;
    const others = workers > 0 ? `and ${format.bytes(workers)} in worker processes` : "the cluster's process";
    figures.set("resident", memory.resident, format.bytes(memory.resident), others);
    this.#meter(memory, share);
  }

  #meter({ bytes, limit }, share) {
    this.meter.hidden = limit === null;
    if (limit === null) return;
    setAttribute(this.meter, "aria-valuemax", limit);
    setAttribute(this.meter, "aria-valuenow", Math.min(bytes, limit));
    setAttribute(this.meter, "aria-valuetext", `${format.share(share)} of ${format.bytes(limit)}`);
    this.part.className = share > 1 ? "state-failed" : share > 0.9 ? "state-warning" : "state-running";
    this.part.style.width = `${Math.min(100, 100 * share).toFixed(1)}%`;
  }
}

function values(count) {
  return `${format.count(count)} ${count === 1 ? "value" : "values"}`;
}

export class Pace {
  #chart = null;
  #first = 0;
  #old = null;

  update({ at, totals, runs }) {
    if (!this.#chart) this.#first = at;
    this.#chart ??= new TimeChart(find("pace-drawing"), {
      label: "Tasks that end in a second",
      series: [{ name: "tasks per second", colour: 2, area: true }],
      unit: rate,
      base: 10,
      height: 110,
    });
    const now = runs.reduce((sum, run) => sum + (run.status === "running" ? run.rate : 0), 0);
    // What short runs have done between two looks counts, too.
    const ended = totals.tasks + totals.cached;
    const seconds = this.#old ? at - this.#old.at : 0;
    const measured = seconds > 0 ? (ended - this.#old.ended) / seconds : 0;
    if (!this.#old || seconds >= 0.2) {
      this.#old = { at, ended };
      this.#chart.append({ at: [at], values: [[Math.max(now, measured, 0)]] });
    }
    follow(this.#chart, this.#first, at);
    setText(find("pace-note"), now > 0 ? `now ${rate(now)}` : "");
    return now;
  }
}
