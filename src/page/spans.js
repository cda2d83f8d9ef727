// The rectangles of a task stream: what each worker did, in pieces of which a whole one can be left out or dropped at
// once. A million take 25 MB and are looked through in some milliseconds. `stream.js` draws them.
"use strict";

(() => {
  /** How many spans a piece holds. */
  const PIECE = 2048;

  /** Spans of one worker, in the order in which they were told. */
  class Piece {
    constructor() {
      this.length = 0;
      this.low = Infinity;
      this.high = -Infinity;
      this.from = new Float64Array(PIECE);
      this.to = new Float64Array(PIECE);
      this.prefix = new Uint32Array(PIECE);
      this.failed = new Uint8Array(PIECE);
      this.task = new Uint32Array(PIECE);
    }
  }

  class Spans {
    constructor() {
      /** By worker: its pieces. */
      this.rows = [];
      this.count = 0;
      this.failures = 0;
      /** How many have been dropped since the start. */
      this.dropped = 0;
      this.low = Infinity;
      this.high = -Infinity;
    }

    /** Makes sure that there are so many rows. */
    reserve(rows) {
      while (this.rows.length < rows) this.rows.push([]);
    }

    /** Adds spans; `worker` is the place of a row. */
    append({ from, to, worker, prefix, failed, tasks }) {
      for (let i = 0; i < from.length; i += 1) {
        const place = worker[i];
        if (place >= this.rows.length) this.reserve(place + 1);
        const row = this.rows[place];
        let piece = row[row.length - 1];
        if (piece === undefined || piece.length === PIECE) {
          piece = new Piece();
          row.push(piece);
        }
        const at = piece.length;
        piece.from[at] = from[i];
        piece.to[at] = to[i];
        piece.prefix[at] = prefix[i];
        piece.failed[at] = failed[i];
        piece.task[at] = tasks[i];
        piece.length = at + 1;
        if (from[i] < piece.low) piece.low = from[i];
        if (to[i] > piece.high) piece.high = to[i];
        if (from[i] < this.low) this.low = from[i];
        if (to[i] > this.high) this.high = to[i];
        this.failures += failed[i];
      }
      this.count += from.length;
    }

    /** Forgets the pieces that end before a moment. */
    drop(before) {
      let low = Infinity;
      for (const row of this.rows) {
        let gone = 0;
        while (gone < row.length && row[gone].high < before) {
          const piece = row[gone];
          this.count -= piece.length;
          this.dropped += piece.length;
          for (let i = 0; i < piece.length; i += 1) this.failures -= piece.failed[i];
          gone += 1;
        }
        if (gone > 0) row.splice(0, gone);
        for (const piece of row) low = Math.min(low, piece.low);
      }
      this.low = low;
    }

    /** The span of a row at a moment, or the nearest one within `reach`: of several the shortest. */
    find(row, moment, reach) {
      let best = null;
      let bestMiss = Infinity;
      let bestLength = Infinity;
      for (const piece of this.rows[row] ?? []) {
        if (piece.low > moment + reach || piece.high < moment - reach) continue;
        for (let i = 0; i < piece.length; i += 1) {
          const miss = Math.max(piece.from[i] - moment, moment - piece.to[i], 0);
          if (miss > reach || miss > bestMiss) continue;
          const length = piece.to[i] - piece.from[i];
          if (miss === bestMiss && length >= bestLength) continue;
          best = { row, piece, at: i };
          bestMiss = miss;
          bestLength = length;
        }
      }
      return best;
    }

    /** The span before (-1) or after (1) another one in its row. */
    beside(place, step) {
      const { row, piece, at } = place;
      if (at + step >= 0 && at + step < piece.length) return { row, piece, at: at + step };
      const pieces = this.rows[row];
      const other = pieces[pieces.indexOf(piece) + step];
      if (other === undefined || !pieces.includes(piece)) return null;
      return { row, piece: other, at: step > 0 ? 0 : other.length - 1 };
    }
  }

  /** What stands at a place, for those who describe it. */
  function read({ row, piece, at }) {
    return {
      worker: row,
      task: piece.task[at],
      prefix: piece.prefix[at],
      from: piece.from[at],
      to: piece.to[at],
      failed: piece.failed[at] === 1,
    };
  }

  /**
   * Sums up a row by pixel column: `time[column * classes + class]` is how much of the column (from 0 to 1) spans of
   * that class take, `starts[column]` how many begin there, `failed[column]` is 1 where one failed. A span that is at
   * least `wide` columns wide is handed to `each(from, to, class, failed)` instead, with its two ends in columns.
   */
  function bin(pieces, { low, high, columns, classOf, classes, wide, time, starts, failed, each }) {
    const scale = columns / (high - low);
    time.fill(0, 0, columns * classes);
    starts.fill(0, 0, columns);
    failed.fill(0, 0, columns);
    for (const piece of pieces) {
      if (piece.high <= low || piece.low >= high) continue;
      const { from, to, prefix, failed: bad, length } = piece;
      for (let i = 0; i < length; i += 1) {
        let start = (from[i] - low) * scale;
        let end = (to[i] - low) * scale;
        if (end < 0 || start >= columns) continue;
        const kind = classOf[prefix[i]];
        if (end - start >= wide) {
          each(start, end, kind, bad[i]);
          continue;
        }
        if (start < 0) start = 0;
        if (end > columns) end = columns;
        const first = start | 0;
        const last = end | 0;
        if (first < columns) starts[first] += 1;
        if (bad[i] === 1) failed[Math.min(first, columns - 1)] = 1;
        if (first === last) {
          // What takes no time at all must be seen, too.
          time[first * classes + kind] += Math.max(end - start, 1e-6);
          continue;
        }
        time[first * classes + kind] += first + 1 - start;
        for (let column = first + 1; column < last; column += 1) time[column * classes + kind] += 1;
        if (last < columns) time[last * classes + kind] += end - last;
      }
    }
  }

  globalThis.MobulaSpans = Object.freeze({ Spans, read, bin });
})();
