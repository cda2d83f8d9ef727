// A small chart of numbers over time: areas that lie on each other, lines above them, a limit as a dashed line.
//
//   const chart = new MobulaCharts.TimeChart(element, {
//     label: "Memory",
//     series: [{ name: "values", colour: 0, area: true }, { name: "resident", colour: 8 }],
//     limit: { name: "limit", value: 2 ** 30 },        // may be left out
//   });
//   chart.set({ at, values: [first, second] });        // typed arrays or arrays; times in seconds, sizes in bytes
//   chart.append({ at, values }), chart.follow(60);    // for live use
//
// `colour` is the place of a colour of theme.css. Other units: `unit: MobulaFormat.count` and `base: 10`. Pointer and
// arrow keys tell the numbers at a moment. Needs format.js and surface.js.
"use strict";

(() => {
  const { Surface, Tip, make, prefixColour, PREFIXES } = globalThis.MobulaSurface;
  const format = globalThis.MobulaFormat;

  const AXIS = 24;
  const TOP = 8;

  class TimeChart {
    #series;
    #limit;
    #unit;
    #base;
    #label;
    #at = [];
    #values = [];
    #window = null;
    #latest = 0;
    #cursor = null;
    #plot = { left: 0, width: 1 };

    constructor(container, { label, series, limit = null, unit = format.bytes, base = 2, height = 180 }) {
      this.#label = label;
      this.#series = series;
      this.#limit = limit;
      this.#unit = unit;
      this.#base = base;
      this.#values = series.map(() => []);
      this.canvas = make("canvas", { tabindex: "0", role: "img", "aria-label": label });
      this.announcer = make("p", { class: "unseen", "aria-live": "polite" });
      const drawing = make("div", { class: "drawing" }, this.canvas);
      this.tip = new Tip(drawing);
      container.append(drawing, this.announcer, this.#legend());
      this.surface = new Surface(this.canvas, (...how) => this.#draw(...how), height);
      this.canvas.addEventListener("pointermove", (event) => this.#point(event));
      this.canvas.addEventListener("pointerleave", () => this.#leave());
      this.canvas.addEventListener("blur", () => this.#leave());
      this.canvas.addEventListener("keydown", (event) => this.#key(event));
    }

    #legend() {
      const entries = this.#series.map(({ name, colour }) => {
        const swatch = make("span", { class: "swatch" });
        swatch.style.background = prefixColour(colour);
        return make("li", {}, swatch, name);
      });
      return make("ul", { class: "legend" }, ...entries);
    }

    set({ at, values, limit }) {
      this.#at = Array.from(at);
      this.#values = values.map((list) => Array.from(list));
      if (limit !== undefined) this.#limit = limit;
      this.advance(this.#at.at(-1) ?? 0);
    }

    append({ at, values }) {
      for (let i = 0; i < at.length; i += 1) {
        this.#at.push(at[i]);
        this.#values.forEach((list, which) => list.push(values[which][i]));
      }
      if (this.#window !== null && at.length > 0) {
        const oldest = this.#at.at(-1) - 2 * this.#window;
        if (this.#at[0] < oldest - this.#window) {
          const gone = this.#at.findIndex((moment) => moment >= oldest);
          this.#at.splice(0, gone);
          for (const list of this.#values) list.splice(0, gone);
          this.#cursor = null;
        }
      }
      this.advance(this.#at.at(-1) ?? 0);
    }

    /** Shows the last seconds only. */
    follow(seconds) {
      this.#window = seconds;
      this.surface.touch();
    }

    /** Says how late it is. */
    advance(now) {
      this.#latest = Math.max(this.#latest, now);
      const last = this.#at.length - 1;
      const numbers = this.#series.map(({ name }, which) => {
        const peak = this.#values[which].reduce((most, value) => Math.max(most, value), 0);
        return `${name} ${last < 0 ? "unknown" : this.#unit(this.#values[which][last])}, at most ${this.#unit(peak)}`;
      });
      this.canvas.setAttribute("aria-label", `${this.#label}: ${numbers.join("; ")}.`);
      this.surface.touch();
    }

    #range() {
      const high = Math.max(this.#latest, 1e-6);
      if (this.#window !== null) return { low: high - this.#window, high };
      const low = Math.min(this.#at[0] ?? 0, high - 1e-6);
      return { low, high };
    }

    #draw(context, width, height, colours) {
      const { low, high } = this.#range();
      const bottom = height - AXIS;
      // Room above the highest point for the limit's name.
      const top = this.#highest(low) * 1.12 || 1;
      context.font = `11px ${colours.sans}`;
      context.textBaseline = "middle";
      const marks = format.ticks(0, top, 4, this.#base);
      const left = Math.ceil(Math.max(...marks.map((mark) => context.measureText(this.#unit(mark)).width))) + 10;
      this.#plot = { left, width: Math.max(width - left - 1, 1) };
      const x = (moment) => left + ((moment - low) / (high - low)) * this.#plot.width;
      const y = (value) => bottom - (value / top) * (bottom - TOP);
      this.#drawGrid(context, { marks, low, high, x, y, bottom, left, width, colours });
      context.save();
      context.beginPath();
      context.rect(left, 0, this.#plot.width, bottom + 1);
      context.clip();
      this.#drawSeries(context, { low, high, x, y, bottom, colours });
      if (this.#limit) this.#drawLimit(context, y(this.#limit.value), left, width, colours);
      context.restore();
      if (this.#cursor !== null) this.#drawCursor(context, x(this.#at[this.#cursor]), y, bottom, colours);
    }

    #highest(low) {
      let most = 0;
      this.#at.forEach((moment, i) => {
        if (moment < low) return;
        // Areas stand on each other.
        let stacked = 0;
        this.#series.forEach(({ area }, which) => {
          const value = this.#values[which][i];
          if (area) stacked += value;
          else most = Math.max(most, value);
        });
        most = Math.max(most, stacked);
      });
      // A limit far above all numbers would press them flat; then it is named in the label only.
      if (this.#limit && this.#limit.value < most * 2.5) most = Math.max(most, this.#limit.value);
      return most;
    }

    #drawGrid(context, { marks, low, high, x, y, bottom, left, width, colours }) {
      context.textAlign = "end";
      for (const mark of marks) {
        context.fillStyle = colours.line;
        context.fillRect(left, Math.round(y(mark)), width - left, 1);
        context.fillStyle = colours.soft;
        context.fillText(this.#unit(mark), left - 8, Math.max(y(mark), 6));
      }
      const moments = format.moments(low, high, Math.max(3, Math.floor((width - left) / 88)));
      const step = moments.length > 1 ? moments[1] - moments[0] : high - low;
      context.textAlign = "center";
      for (const moment of moments) {
        const text = format.moment(moment, step, moments.at(-1));
        const half = context.measureText(text).width / 2;
        const at = Math.min(Math.max(x(moment), left + half), width - half);
        if (Math.abs(at - x(moment)) > half) continue;
        context.fillText(text, at, bottom + AXIS / 2 + 2);
      }
    }

    #drawSeries(context, { low, high, x, y, bottom, colours }) {
      const points = this.#thin(low, high);
      if (points.length === 0) return;
      const base = new Float64Array(points.length);
      this.#series.forEach(({ colour, area }, which) => {
        const list = this.#values[which];
        const tops = points.map((i, place) => (area ? base[place] : 0) + list[i]);
        const path = new Path2D();
        tops.forEach((value, place) => {
          const at = x(this.#at[points[place]]);
          if (place === 0) path.moveTo(at, y(value));
          else path.lineTo(at, y(value));
        });
        const paint = colours.prefixes[colour % PREFIXES];
        if (area) {
          const body = new Path2D(path);
          for (let place = points.length - 1; place >= 0; place -= 1) body.lineTo(x(this.#at[points[place]]), y(base[place]));
          context.globalAlpha = 0.28;
          context.fillStyle = paint;
          context.fill(body);
          context.globalAlpha = 1;
          tops.forEach((value, place) => (base[place] = value));
        }
        context.strokeStyle = paint;
        context.lineWidth = 1.75;
        context.lineJoin = "round";
        context.stroke(path);
      });
      if (points.length === 1) context.fillRect(x(this.#at[points[0]]), bottom - 2, 2, 2);
    }

    /** The places of the samples to draw: of many in one column of pixels the one with the highest sum. */
    #thin(low, high) {
      const first = Math.max(0, this.#at.findIndex((moment) => moment >= low) - 1);
      const chosen = [];
      let [column, best] = [-1, -1];
      for (let i = first; i < this.#at.length; i += 1) {
        const here = Math.floor(((this.#at[i] - low) / (high - low)) * this.#plot.width);
        let sum = 0;
        for (const list of this.#values) sum += list[i];
        if (here !== column) {
          chosen.push(i);
          [column, best] = [here, sum];
        } else if (sum > best) {
          chosen[chosen.length - 1] = i;
          best = sum;
        }
      }
      return chosen;
    }

    #drawLimit(context, y, left, width, colours) {
      context.strokeStyle = colours.warning;
      context.lineWidth = 1.5;
      context.setLineDash([5, 4]);
      context.beginPath();
      context.moveTo(left, y);
      context.lineTo(width, y);
      context.stroke();
      context.setLineDash([]);
      context.fillStyle = colours.warning;
      context.textAlign = "end";
      context.fillText(`${this.#limit.name} ${this.#unit(this.#limit.value)}`, width - 6, y < 18 ? y + 9 : y - 8);
    }

    #drawCursor(context, x, y, bottom, colours) {
      context.fillStyle = colours.ink;
      context.fillRect(Math.round(x), TOP, 1, bottom - TOP);
      let sum = 0;
      this.#series.forEach(({ colour, area }, which) => {
        const value = this.#values[which][this.#cursor];
        if (area) sum += value;
        context.fillStyle = colours.prefixes[colour % PREFIXES];
        context.beginPath();
        context.arc(x, y(area ? sum : value), 3.5, 0, 2 * Math.PI);
        context.fill();
      });
    }

    #point(event) {
      if (this.#at.length === 0) return;
      const { low, high } = this.#range();
      const box = this.canvas.getBoundingClientRect();
      const moment = low + ((event.clientX - box.left - this.#plot.left) / this.#plot.width) * (high - low);
      let [first, last] = [0, this.#at.length - 1];
      while (first < last) {
        const middle = (first + last + 1) >> 1;
        if (this.#at[middle] <= moment) first = middle;
        else last = middle - 1;
      }
      this.#tell(first, event.clientY - box.top);
    }

    #key(event) {
      const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
      if (event.key === "Escape") this.#leave();
      if (step === undefined || this.#at.length === 0) return;
      event.preventDefault();
      const last = this.#at.length - 1;
      const from = this.#cursor ?? (step > 0 ? -1 : last + 1);
      this.#tell(Math.min(last, Math.max(0, from + step)), TOP);
      this.announcer.textContent = this.tip.element.textContent;
    }

    #tell(sample, y) {
      this.#cursor = sample;
      const { low, high } = this.#range();
      const lines = this.#series.map(({ name }, which) => `${name}: ${this.#unit(this.#values[which][sample])}`);
      const x = this.#plot.left + ((this.#at[sample] - low) / (high - low)) * this.#plot.width;
      this.tip.show([`at ${format.seconds(this.#at[sample])}`, ...lines].join("\n"), x, y);
      this.surface.touch();
    }

    #leave() {
      this.#cursor = null;
      this.tip.hide();
      this.surface.touch();
    }

    close() {
      this.surface.close();
    }
  }

  globalThis.MobulaCharts = Object.freeze({ TimeChart });
})();
