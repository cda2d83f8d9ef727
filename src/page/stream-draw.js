// Draws a task stream as it stands; `stream.js` says what stands there.
"use strict";

(() => {
  const { pixel, PREFIXES } = globalThis.MobulaSurface;
  const { read, bin } = globalThis.MobulaSpans;
  const format = globalThis.MobulaFormat;

  /** The height of the time axis. */
  const AXIS = 24;
  /** What is not highlighted is drawn in the class behind the last colour. */
  const CLASSES = PREFIXES + 1;
  /** From this width on, in device pixels, a span is a rectangle of its own. */
  const WIDE = 3;
  /** From so many spans in a column of pixels on, the colours are stacked. */
  const MANY = 4;

  /** Where things lie on a canvas of this size. */
  function layout(width, height, workers) {
    const rows = Math.max(workers, 1);
    const row = (height - AXIS) / rows;
    const left = width < 480 ? 30 : 44;
    const bar = row >= 8 ? row - 2 : row >= 5 ? row - 1 : row;
    return { rows, row, bar, left, width: Math.max(width - left - 1, 1) };
  }

  /** The class of each prefix: its colour, or grey if another one is highlighted. */
  function classes(prefixes, highlighted) {
    const classOf = (_, place) => (highlighted === null || highlighted === place ? place % PREFIXES : PREFIXES);
    return Uint8Array.from({ length: Math.max(prefixes, 1) }, classOf);
  }

  class Painter {
    #raster = document.createElement("canvas");
    #sums = sums(0);

    /** Draws a scene: `{ plot, view, spans, open, latest, workers, classOf, marked }`. */
    draw(context, scene, colours, ratio) {
      context.font = `11px ${colours.sans}`;
      context.textBaseline = "middle";
      axis(context, scene, colours);
      labels(context, scene, colours);
      this.#rows(context, scene, colours, ratio);
      open(context, scene, colours);
      for (const place of scene.marked) if (place !== null) mark(context, scene, place, colours);
    }

    #rows(context, { plot, view, spans, classOf }, colours, ratio) {
      const columns = Math.max(1, Math.round(plot.width * ratio));
      const lines = Math.max(1, Math.round(plot.bar * ratio));
      if (this.#sums.starts.length < columns) this.#sums = sums(columns);
      const image = context.createImageData(columns, lines * plot.rows);
      const palette = Uint32Array.from([...colours.prefixes, colours.soft], pixel);
      palette[PREFIXES] = (palette[PREFIXES] & 0xffffff) | 0x40000000;
      const [wide, spots] = [[], []];
      for (let row = 0; row < plot.rows; row += 1) {
        const each = (start, end, kind, failed) => wide.push({ row, start, end, kind, failed });
        bin(spans.rows[row] ?? [], { ...view, ...this.#sums, columns, classOf, classes: CLASSES, wide: WIDE, each });
        const bytes = columns * lines * 4;
        fill(new Uint32Array(image.data.buffer, row * bytes, columns * lines), columns, lines, this.#sums, palette);
        for (let column = 0; column < columns; column += 1) {
          if (this.#sums.failed[column] === 1) spots.push({ row, start: column - 1, end: column + 2, failed: 1 });
        }
      }
      this.#raster.width = image.width;
      this.#raster.height = image.height;
      this.#raster.getContext("2d").putImageData(image, 0, 0);
      context.imageSmoothingEnabled = false;
      for (let row = 0; row < plot.rows; row += 1) {
        const from = [0, row * lines, columns, lines];
        context.drawImage(this.#raster, ...from, plot.left, row * plot.row, plot.width, plot.bar);
      }
      rectangles(context, plot, wide, spots, colours, ratio);
    }
  }

  function sums(columns) {
    const time = new Float32Array(columns * CLASSES);
    return { time, starts: new Uint32Array(columns), failed: new Uint8Array(columns) };
  }

  /**
   * Fills the columns of a row of pixels. A column in which few spans begin has the colour of the class that takes most
   * of it. Where there are many, one colour would hide all others: there they lie on each other, each as high as its
   * share of the time, and above them what the worker was idle.
   */
  function fill(pixels, columns, lines, { time, starts }, palette) {
    for (let column = 0; column < columns; column += 1) {
      const at = column * CLASSES;
      let [best, sum] = [0, 0];
      for (let kind = 0; kind < CLASSES; kind += 1) {
        sum += time[at + kind];
        if (time[at + kind] > time[at + best]) best = kind;
      }
      if (sum === 0) continue;
      if (starts[column] < MANY) {
        // Faint where the worker was idle for most of the column, but never too faint to be seen.
        const alpha = Math.round((palette[best] >>> 24) * Math.min(1, 0.3 + 0.7 * sum));
        const colour = ((palette[best] & 0xffffff) | (alpha << 24)) >>> 0;
        for (let line = 0; line < lines; line += 1) pixels[line * columns + column] = colour;
        continue;
      }
      // Spans that lie in each other take more than there is.
      const scale = lines / Math.max(sum, 1);
      let height = 0;
      let line = lines;
      for (let kind = 0; kind < CLASSES; kind += 1) {
        height += time[at + kind] * scale;
        const end = lines - Math.round(height);
        while (line > end) {
          line -= 1;
          pixels[line * columns + column] = palette[kind];
        }
      }
      if (line === lines) pixels[(lines - 1) * columns + column] = palette[best];
    }
  }

  function rectangles(context, plot, wide, spots, colours, ratio) {
    // A worker that waits for a run may be in other tasks meanwhile: the shorter ones go on top.
    wide.sort((a, b) => b.end - b.start - (a.end - a.start));
    const columns = plot.width * ratio;
    const rectangle = ({ row, start, end }, gap) => {
      const from = Math.round(Math.max(start, -2)) / ratio;
      const to = Math.round(Math.min(end, columns + 2)) / ratio - gap;
      context.fillRect(plot.left + from, row * plot.row, Math.max(to - from, 1 / ratio), plot.bar);
    };
    context.save();
    context.beginPath();
    context.rect(plot.left, 0, plot.width, plot.rows * plot.row);
    context.clip();
    for (const span of wide) {
      context.globalAlpha = span.kind === PREFIXES ? 0.25 : 1;
      context.fillStyle = span.kind === PREFIXES ? colours.soft : colours.prefixes[span.kind];
      rectangle(span, span.end - span.start > 5 ? 1 / ratio : 0);
    }
    context.globalAlpha = 1;
    context.fillStyle = hatch(context, colours);
    for (const span of wide) if (span.failed === 1) rectangle(span, 0);
    for (const spot of spots) rectangle(spot, 0);
    context.restore();
  }

  /** The pattern of what failed: red, so that it is seen, and striped, for those who do not see red. */
  function hatch(context, colours) {
    const tile = document.createElement("canvas");
    tile.width = 6;
    tile.height = 6;
    const brush = tile.getContext("2d");
    brush.fillStyle = colours.failed;
    brush.fillRect(0, 0, 6, 6);
    brush.strokeStyle = colours.card;
    brush.lineWidth = 1.2;
    brush.beginPath();
    for (const shift of [-6, 0, 6]) {
      brush.moveTo(shift, 6);
      brush.lineTo(shift + 6, 0);
    }
    brush.stroke();
    return context.createPattern(tile, "repeat");
  }

  function axis(context, { plot, view: { low, high } }, colours) {
    const bottom = plot.rows * plot.row;
    const marks = format.moments(low, high, Math.max(3, Math.floor(plot.width / 88)));
    const step = marks.length > 1 ? marks[1] - marks[0] : high - low;
    context.textAlign = "center";
    for (const mark of marks) {
      const x = Math.round(plot.left + ((mark - low) / (high - low)) * plot.width);
      context.fillStyle = colours.line;
      context.fillRect(x, 0, 1, bottom + 4);
      const text = format.moment(mark, step, marks.at(-1));
      const half = context.measureText(text).width / 2;
      if (x - half < 0 || x + half > plot.left + plot.width) continue;
      context.fillStyle = colours.soft;
      context.fillText(text, x, bottom + AXIS / 2 + 2);
    }
  }

  function labels(context, { plot, workers }, colours) {
    const every = Math.max(1, Math.ceil(13 / plot.row));
    context.textAlign = "end";
    for (let row = 0; row < plot.rows; row += 1) {
      context.fillStyle = colours.sunken;
      context.globalAlpha = 0.6;
      context.fillRect(plot.left, row * plot.row, plot.width, plot.bar);
      context.globalAlpha = 1;
      if (row % every !== 0 || workers[row] === undefined) continue;
      context.fillStyle = colours.soft;
      context.fillText(String(workers[row]), plot.left - 8, row * plot.row + Math.max(plot.bar / 2, 5) + 0.5);
    }
  }

  /** Tasks that go on: paler, up to now. */
  function open(context, { plot, view: { low, high }, open: spans, latest, classOf }, colours) {
    const x = (moment) => plot.left + Math.min(1, Math.max(0, (moment - low) / (high - low))) * plot.width;
    context.globalAlpha = 0.45;
    for (const span of spans) {
      if (latest < low || span.from > high) continue;
      const kind = classOf[span.prefix] ?? 0;
      context.fillStyle = kind === PREFIXES ? colours.soft : colours.prefixes[kind];
      context.fillRect(x(span.from), span.worker * plot.row, Math.max(x(latest) - x(span.from), 1), plot.bar);
    }
    context.globalAlpha = 1;
  }

  /** A frame around the span that the pointer or the keyboard is at. */
  function mark(context, { plot, view: { low, high } }, place, colours) {
    const span = read(place);
    if (span.to < low || span.from > high) return;
    const x = (moment) => plot.left + Math.min(1, Math.max(0, (moment - low) / (high - low))) * plot.width;
    const width = Math.max(x(span.to) - x(span.from), 2);
    context.strokeStyle = colours.ink;
    context.lineWidth = 2;
    context.strokeRect(x(span.from) - 1, span.worker * plot.row, width + 2, plot.bar);
  }

  globalThis.MobulaStreamDraw = Object.freeze({ Painter, layout, classes, AXIS });
})();
