// How tasks stand: a bar in parts, and the same in numbers. For runs and for key prefixes.

import { format, make, setAttribute, setText, show } from "./elements.js";

/** In the order in which a bar shows them; what is waiting is its ground. */
const PARTS = ["done", "cached", "failed", "skipped", "running"];
const NUMBERS = ["done", "cached", "running", "failed", "skipped", "waiting", "retried"];

export function ended(counts) {
  return counts.done + counts.cached + counts.failed + counts.skipped;
}

/** The share that has ended; never 100 % before all have. */
export function shareText(counts) {
  const all = ended(counts);
  if (counts.total === 0 || all === counts.total) return "100 %";
  return `${Math.min(99.9, (100 * all) / counts.total).toFixed(counts.total >= 1000 ? 1 : 0)} %`;
}

export class Bar {
  #parts = new Map();

  constructor(label) {
    this.element = make("div", { class: "progress", role: "progressbar", "aria-label": label, "aria-valuemin": 0 });
    for (const name of PARTS) {
      const part = make("i", { class: `state-${name}`, hidden: true });
      this.#parts.set(name, part);
      this.element.append(part);
    }
  }

  update(counts) {
    for (const [name, part] of this.#parts) {
      show(part, counts[name] > 0);
      const width = `${((100 * counts[name]) / Math.max(counts.total, 1)).toFixed(2)}%`;
      if (part.style.width !== width) part.style.width = width;
    }
    setAttribute(this.element, "aria-valuemax", counts.total);
    setAttribute(this.element, "aria-valuenow", ended(counts));
    const bad = counts.failed > 0 ? `, ${format.count(counts.failed)} failed` : "";
    const words = `${shareText(counts)}, ${format.count(ended(counts))} of ${format.count(counts.total)} tasks${bad}`;
    setAttribute(this.element, "aria-valuetext", words);
  }
}

/** The numbers that are not zero; the others are there too, but not to be seen. */
export class Numbers {
  #entries = new Map();

  constructor() {
    this.element = make("ul", { class: "numbers" });
    for (const name of NUMBERS) {
      const number = make("b");
      const swatch = make("span", { class: `swatch state-${name}`, "aria-hidden": "true" });
      const item = make("li", { "data-count": name, hidden: true }, swatch, number, ` ${name}`);
      this.#entries.set(name, { item, number });
      this.element.append(item);
    }
  }

  update(counts) {
    for (const [name, { item, number }] of this.#entries) {
      setAttribute(item, "data-value", counts[name]);
      setText(number, format.count(counts[name]));
      show(item, counts[name] > 0);
    }
  }
}
