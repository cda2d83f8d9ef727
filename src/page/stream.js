// The task stream: a row for each worker, a rectangle for each task, coloured by key prefix, hatched red if it failed.
//
//   const stream = new MobulaStream.TaskStream(element, { workers: [0, 1], prefixes: ["load", "sum"], describe });
//   stream.append({ from, to, worker, prefix, failed, tasks });   // typed arrays of one length; times in seconds
//
// `worker` and `prefix` are places in the two lists (which may grow: `stream.update({ workers, prefixes })`), `tasks`
// numbers of yours: `describe(task, span)` says in words what a span is. For live use `stream.follow(60)` shows the last
// 60 seconds and forgets what is older than two such windows, `stream.advance(now)` moves on while nothing ends, and
// `stream.running({ from, worker, prefix, tasks })` shows what has not ended. Where one rectangle stands for many tasks,
// `tally()` answers `{ tasks, failed }`, which the label tells instead of the number of rectangles.
//
// It draws a million rectangles by summing up each column of pixels, and only when something has changed. All that the
// pointer does can be done by keyboard; a label says in words what is to be seen. Needs, in this order:
// format.js, surface.js, spans.js, stream-draw.js, stream-input.js.
"use strict";

(() => {
  const { Surface, Tip, make, prefixColour, prefersStillness } = globalThis.MobulaSurface;
  const { Spans, read } = globalThis.MobulaSpans;
  const { Painter, layout, classes, AXIS } = globalThis.MobulaStreamDraw;
  const format = globalThis.MobulaFormat;

  const KEYS =
    "Arrow keys go from task to task, with Shift they move the view; plus and minus zoom, 0 shows everything, " +
    "Escape leaves the task.";

  class TaskStream {
    #spans = new Spans();
    #open = [];
    #workers = [];
    #prefixes = [];
    #describe;
    #tally;
    #classOf = classes(1, null);
    #highlighted = null;
    #view = { low: 0, high: 1 };
    #fitted = true;
    #window = null;
    #following = false;
    #latest = 0;
    #cursor = null;
    #hovered = null;
    #moving = 0;
    #labelled = -Infinity;
    #plot = layout(480, 80, 1);
    #painter = new Painter();

    constructor(container, { workers = [], prefixes = [], describe = null, tally = null, legend = true } = {}) {
      this.#describe = describe;
      this.#tally = tally;
      this.#build(container, legend);
      this.surface = new Surface(this.canvas, (...how) => this.#draw(...how), 80);
      globalThis.MobulaStreamInput.attach(this, this.canvas);
      this.update({ workers, prefixes });
    }

    #build(container, legend) {
      this.canvas = make("canvas", {
        tabindex: "0",
        role: "application",
        "aria-roledescription": "task stream",
        "aria-description": KEYS,
      });
      this.announcer = make("p", { class: "unseen", "aria-live": "polite" });
      const button = (label, text, act) => {
        const made = make("button", { type: "button", "aria-label": label, title: label }, text);
        made.addEventListener("click", act);
        return made;
      };
      this.liveButton = make("button", { type: "button", "aria-pressed": "true", hidden: true }, "Live");
      this.liveButton.addEventListener("click", () => this.#setFollowing(!this.#following));
      this.range = make("span", { class: "note" });
      const tools = make(
        "div",
        { class: "drawing-tools", role: "group", "aria-label": "View of the task stream" },
        button("Zoom in", "+", () => this.zoom(0.5)),
        button("Zoom out", "−", () => this.zoom(2)),
        button("Earlier", "◂", () => this.pan(-0.25)),
        button("Later", "▸", () => this.pan(0.25)),
        button("All tasks", "All", () => this.showAll()),
        this.liveButton,
        this.range,
      );
      const drawing = make("div", { class: "drawing" }, this.canvas);
      this.tip = new Tip(drawing);
      this.legend = legend ? make("ul", { class: "legend", "aria-label": "Key prefixes" }) : null;
      container.append(tools, drawing, this.announcer, ...(this.legend ? [this.legend] : []));
    }

    /** Gives other lists of workers and prefixes, which begin like the old ones. */
    update({ workers, prefixes }) {
      if (workers) {
        this.#workers = [...workers];
        this.#spans.reserve(workers.length);
      }
      if (prefixes && (prefixes.length !== this.#prefixes.length || prefixes.length === 0)) {
        this.#prefixes = [...prefixes];
        this.#fillLegend();
      }
      this.#classOf = classes(this.#prefixes.length, this.#highlighted);
      const rows = Math.max(this.#workers.length, 1);
      this.surface.height = rows * Math.min(26, Math.max(4, Math.floor(380 / rows))) + AXIS;
      this.#changed();
    }

    append(batch) {
      if (batch.from.length === 0) return;
      this.#spans.append(batch);
      if (this.#window !== null) {
        const oldest = Math.max(this.#latest, this.#spans.high) - 2 * this.#window;
        // Not for each handful: looking through the pieces should be worth it.
        if (this.#spans.low < oldest - this.#window / 2) this.#spans.drop(oldest);
      }
      this.advance(this.#spans.high);
    }

    /** Says which tasks go on; replaces what was said before. */
    running({ from, worker, prefix, tasks }) {
      this.#open = Array.from(from, (start, i) => ({
        from: start,
        worker: worker[i],
        prefix: prefix[i],
        task: tasks[i],
      }));
      this.surface.touch();
    }

    /** Says how late it is. */
    advance(now) {
      this.#latest = Math.max(this.#latest, now);
      if (this.#following) this.#view = { low: this.#latest - this.#window, high: this.#latest };
      else if (this.#fitted) this.#view = this.#whole();
      this.#changed();
    }

    /** Shows the last seconds, and goes on doing so. */
    follow(seconds) {
      this.#window = seconds;
      this.liveButton.hidden = false;
      this.#setFollowing(true);
    }

    #setFollowing(following) {
      this.#following = following && this.#window !== null;
      this.liveButton.setAttribute("aria-pressed", String(this.#following));
      this.advance(this.#latest);
    }

    /** Shows one prefix in its colour and the others in grey; `null` shows all. */
    highlight(prefix) {
      this.#highlighted = prefix;
      for (const entry of this.legend?.querySelectorAll("button") ?? []) {
        entry.setAttribute("aria-pressed", String(Number(entry.dataset.prefix) === prefix));
      }
      this.#classOf = classes(this.#prefixes.length, this.#highlighted);
      this.surface.touch();
    }

    /** What is to be seen: two moments, in seconds. */
    get view() {
      return { ...this.#view };
    }

    show(low, high) {
      const least = 2e-8;
      const whole = this.#whole();
      const size = Math.min(Math.max(high - low, least), (whole.high - whole.low) * 1.5);
      const middle = Math.min(Math.max((low + high) / 2, whole.low), whole.high);
      this.#fitted = false;
      if (this.#following) this.#setFollowing(false);
      this.#view = { low: middle - size / 2, high: middle + size / 2 };
      this.#changed();
    }

    showAll() {
      this.#fitted = true;
      if (this.#following) this.#setFollowing(false);
      this.#glide(this.#whole());
    }

    /** Makes what is to be seen so many times as long, around a moment. */
    zoom(factor, around = null, atOnce = false) {
      const { low, high } = this.#view;
      const marked = this.#cursor && this.#middle(this.#cursor);
      const inside = marked !== null && marked > low && marked < high;
      const middle = around ?? (inside ? marked : (low + high) / 2);
      const target = { low: middle - (middle - low) * factor, high: middle + (high - middle) * factor };
      if (atOnce) this.show(target.low, target.high);
      else this.#glide(target);
    }

    /** Moves by a part of what is to be seen. */
    pan(part, atOnce = false) {
      const { low, high } = this.#view;
      const target = { low: low + part * (high - low), high: high + part * (high - low) };
      if (atOnce) this.show(target.low, target.high);
      else this.#glide(target);
    }

    #glide(target) {
      cancelAnimationFrame(this.#moving);
      const wasFitted = this.#fitted;
      const arrive = () => {
        this.show(target.low, target.high);
        this.#fitted = wasFitted && target.low <= this.#spans.low && target.high >= this.#spans.high;
      };
      if (prefersStillness()) return arrive();
      const [start, began] = [this.#view, performance.now()];
      const step = (now) => {
        const part = Math.min(Math.max((now - began) / 160, 0), 1);
        if (part === 1) return arrive();
        const eased = 1 - (1 - part) ** 3;
        this.show(start.low + (target.low - start.low) * eased, start.high + (target.high - start.high) * eased);
        this.#moving = requestAnimationFrame(step);
      };
      this.#moving = requestAnimationFrame(step);
    }

    #whole() {
      const low = Number.isFinite(this.#spans.low) ? Math.min(this.#spans.low, this.#latest) : 0;
      const high = Math.max(this.#latest, low + 1e-6);
      const margin = (high - low) * 0.005;
      return { low: low - margin, high: high + margin };
    }

    /** The moment and the row at a place of the canvas. */
    locate(x, y) {
      const { low, high } = this.#view;
      const { left, width, row } = this.#plot;
      return { moment: low + ((x - left) / width) * (high - low), row: Math.floor(y / row) };
    }

    /** Points at what is at a place of the canvas, if anything is. */
    hover(x, y) {
      const { moment, row } = this.locate(x, y);
      const reach = (4 * (this.#view.high - this.#view.low)) / this.#plot.width;
      const found = x < this.#plot.left ? null : this.#spans.find(row, moment, reach);
      this.#hovered = found;
      if (found) this.tip.show(this.#words(read(found)), x, y);
      else if (!this.#hoverOpen(row, moment, x, y)) this.tip.hide();
      this.surface.touch();
    }

    #hoverOpen(row, moment, x, y) {
      const span = this.#open.find((one) => one.worker === row && one.from <= moment && moment <= this.#latest);
      if (span) this.tip.show(this.#words({ ...span, to: this.#latest, failed: false, running: true }), x, y);
      return span !== undefined;
    }

    leave() {
      this.#hovered = null;
      this.#cursor = null;
      this.tip.hide();
      this.surface.touch();
    }

    /** Goes to the next task in time (`columns`) or to another worker (`rows`). */
    step(columns, rows) {
      const old = this.#cursor;
      const { low, high } = this.#view;
      let next = null;
      if (old === null || !this.#spans.rows[old.row]?.includes(old.piece)) {
        for (let row = 0; row < this.#spans.rows.length && next === null; row += 1) {
          next = this.#spans.find(row, (low + high) / 2, (high - low) / 2);
        }
      } else if (columns !== 0) {
        next = this.#spans.beside(old, columns);
      } else {
        for (let row = old.row + rows; this.#spans.rows[row] !== undefined && next === null; row += rows) {
          next = this.#spans.find(row, this.#middle(old), Infinity);
        }
      }
      if (next !== null) this.#select(next);
    }

    #select(place) {
      this.#cursor = place;
      const span = read(place);
      const { low, high } = this.#view;
      if (span.to < low || span.from > high) {
        const half = (high - low) / 2;
        this.show(this.#middle(place) - half, this.#middle(place) + half);
      }
      const shown = this.#view;
      const { left, width, row } = this.#plot;
      const part = (Math.min(Math.max(this.#middle(place), shown.low), shown.high) - shown.low) / (shown.high - shown.low);
      const words = this.#words(span);
      this.tip.show(words, left + part * width, (span.worker + 0.5) * row);
      this.announcer.textContent = words;
      this.surface.touch();
    }

    #middle(place) {
      return (place.piece.from[place.at] + place.piece.to[place.at]) / 2;
    }

    #words(span) {
      const told = this.#describe?.(span.task, span);
      if (told) return told;
      const ending = span.failed ? ", failed" : span.running ? ", running" : "";
      const worker = `worker ${this.#workers[span.worker] ?? span.worker}`;
      return `${this.#prefixes[span.prefix] ?? "task"}\n${worker}, ${format.seconds(span.to - span.from)}${ending}`;
    }

    #changed() {
      const { low, high } = this.#view;
      this.range.textContent = `${format.seconds(Math.max(high - low, 0))} shown`;
      this.surface.touch();
      const now = performance.now();
      if (this.#following && now - this.#labelled < 1000) {
        // While time goes on, once a second is enough.
        this.pending ??= setTimeout(() => {
          this.pending = null;
          this.#labelled = -Infinity;
          this.#changed();
        }, 1000);
        return;
      }
      this.#labelled = now;
      const counts = this.#tally?.() ?? { tasks: this.#spans.count, failed: this.#spans.failures };
      const tasks = `${format.count(counts.tasks)} tasks in ${format.count(this.#workers.length)} workers`;
      const failed = counts.failed > 0 ? `, ${format.count(counts.failed)} failed` : "";
      const shown = `shown from ${format.seconds(Math.max(low, 0))} to ${format.seconds(high)}`;
      this.canvas.setAttribute("aria-label", `Task stream: ${tasks}${failed}; ${shown}.`);
    }

    #fillLegend() {
      if (!this.legend) return;
      const most = 24;
      const entries = this.#prefixes.slice(0, most).map((name, place) => {
        const swatch = make("span", { class: "swatch" });
        swatch.style.background = prefixColour(place);
        const button = make("button", { type: "button", "aria-pressed": "false", "data-prefix": place }, swatch, name);
        button.addEventListener("click", () => this.highlight(this.#highlighted === place ? null : place));
        return make("li", {}, button);
      });
      const more = this.#prefixes.length - most;
      if (more > 0) entries.push(make("li", { class: "note" }, `and ${format.count(more)} more`));
      this.legend.replaceChildren(...entries);
    }

    #draw(context, width, height, colours, ratio) {
      this.#plot = layout(width, height, this.#workers.length);
      const scene = {
        plot: this.#plot,
        view: this.#view,
        spans: this.#spans,
        open: this.#open,
        latest: this.#latest,
        workers: this.#workers,
        classOf: this.#classOf,
        marked: [this.#hovered, this.#cursor],
      };
      this.#painter.draw(context, scene, colours, ratio);
    }

    close() {
      clearTimeout(this.pending);
      cancelAnimationFrame(this.#moving);
      this.surface.close();
    }
  }

  globalThis.MobulaStream = Object.freeze({ TaskStream });
})();
