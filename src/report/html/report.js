// Draws a report from the numbers that `pack.rs` has packed into its page, and makes its tables sort.
"use strict";

(() => {
  const format = globalThis.MobulaFormat;
  const text = (id) => document.getElementById(id).textContent;

  /** What an element holds in base64, deflated, as bytes. */
  async function unpack(id) {
    const packed = text(id);
    let bytes;
    if (Uint8Array.fromBase64) {
      bytes = Uint8Array.fromBase64(packed);
    } else {
      const raw = atob(packed);
      bytes = new Uint8Array(raw.length);
      for (let i = 0; i < raw.length; i += 1) bytes[i] = raw.charCodeAt(i);
    }
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /** Reads numbers one after the other. */
  class Reader {
    constructor(bytes) {
      this.bytes = bytes;
      this.at = 0;
    }

    number() {
      let byte = this.bytes[this.at++];
      if (byte < 128) return byte;
      let number = byte & 127;
      let factor = 128;
      do {
        byte = this.bytes[this.at++];
        // No shift: numbers of more than 31 bits are frequent.
        number += (byte & 127) * factor;
        factor *= 128;
      } while (byte >= 128);
      return number;
    }

    difference() {
      const number = this.number();
      return number % 2 === 0 ? number / 2 : -(number + 1) / 2;
    }
  }

  /** The columns of all spans, worker after worker; see `write_spans` in pack.rs. */
  function readSpans(bytes, { began, tick }) {
    const reader = new Reader(bytes);
    const rows = Array.from({ length: reader.number() }, () => reader.number());
    const count = rows.reduce((sum, row) => sum + row, 0);
    const runs = Array.from({ length: reader.number() }, () => {
      const id = reader.number();
      const prefixes = new Uint16Array(reader.number());
      for (let i = 0; i < prefixes.length; i += 1) prefixes[i] = Math.min(reader.number(), 65535);
      return { id, prefixes };
    });
    const gaps = new Float64Array(count);
    for (let i = 0; i < count; i += 1) gaps[i] = reader.difference();
    const [from, to] = [new Float64Array(count), new Float64Array(count)];
    const worker = new Uint16Array(count);
    let i = 0;
    rows.forEach((length, row) => {
      let at = 0;
      for (const end = i + length; i < end; i += 1) {
        at += gaps[i];
        from[i] = began + at * tick;
        at += reader.number();
        to[i] = began + at * tick;
        worker[i] = row;
      }
    });
    const column = () => {
      const numbers = new Uint32Array(count);
      let place = 0;
      for (const length of rows) {
        let number = 0;
        for (const end = place + length; place < end; place += 1) {
          number += reader.difference();
          numbers[place] = number;
        }
      }
      return numbers;
    };
    const [run, task] = [column(), column()];
    const size = new Float64Array(count);
    for (let j = 0; j < count; j += 1) size[j] = reader.number();
    const failed = new Uint8Array(count);
    let place = 0;
    for (let left = reader.number(); left > 0; left -= 1) {
      place += reader.number();
      failed[place] = 1;
    }
    return { count, runs, from, to, worker, run, task, size, failed };
  }

  /** The keys of all runs; see `write_keys` in pack.rs. */
  function readKeys(bytes, runs) {
    const reader = new Reader(bytes);
    const decoder = new TextDecoder();
    return Array.from({ length: reader.number() }, (_, run) => {
      const count = reader.number();
      const starts = new Uint32Array(count + 1);
      let keys = new Uint8Array(1 << 16);
      let length = 0;
      // By prefix: the last key of it.
      const last = new Map();
      for (let task = 0; task < count; task += 1) {
        const prefix = runs[run].prefixes[task];
        const shared = reader.number();
        const rest = reader.number();
        if (length + shared + rest > keys.length) {
          const larger = new Uint8Array(2 * (length + shared + rest));
          larger.set(keys.subarray(0, length));
          keys = larger;
        }
        if (shared > 0) {
          const start = starts[last.get(prefix)];
          keys.copyWithin(length, start, start + shared);
        }
        for (let i = 0; i < rest; i += 1) keys[length + shared + i] = reader.bytes[reader.at + i];
        reader.at += rest;
        last.set(prefix, task);
        length += shared + rest;
        starts[task + 1] = length;
      }
      return (task) => (task < count ? decoder.decode(keys.subarray(starts[task], starts[task + 1])) : null);
    });
  }

  async function drawStream(data) {
    const container = document.getElementById("stream-drawing");
    if (!container) return;
    const state = document.getElementById("stream-state");
    if (!globalThis.DecompressionStream) {
      state.textContent = "This browser is too old to draw it: it has no DecompressionStream. The tables below hold.";
      return;
    }
    const spans = readSpans(await unpack("span-data"), data);
    const prefix = new Uint16Array(spans.count);
    const nameless = data.prefixes.indexOf("?");
    for (let i = 0; i < spans.count; i += 1) {
      prefix[i] = spans.runs[spans.run[i]].prefixes[spans.task[i]] ?? Math.max(nameless, 0);
    }
    let keys = null;
    const describe = (i, { from, to, failed }) => {
      const key = keys?.[spans.run[i]](spans.task[i]) ?? `task ${spans.task[i]}`;
      const lines = [
        key,
        `${data.prefixes[prefix[i]] ?? "?"}, run ${spans.runs[spans.run[i]].id}, worker ${data.workers[spans.worker[i]]}`,
        `${format.seconds(to - from)} from ${format.seconds(from - data.began)} on`,
        failed ? "failed" : format.bytes(spans.size[i]),
      ];
      return lines.join("\n");
    };
    state.remove();
    const { workers, prefixes } = data;
    const stream = new globalThis.MobulaStream.TaskStream(container, { workers, prefixes, describe });
    // Times count from the start of the recording.
    const { worker, failed } = spans;
    const shift = (times) => times.map((time) => time - data.began);
    stream.append({ from: shift(spans.from), to: shift(spans.to), worker, prefix, failed, tasks: places(spans.count) });
    await new Promise((seen) => requestAnimationFrame(() => setTimeout(seen)));
    performance.mark("stream drawn");
    keys = readKeys(await unpack("key-data"), spans.runs);
    performance.mark("keys read");
    if (JSON.parse(text("keys-were-cut"))) {
      const note = document.createElement("p");
      note.className = "note";
      note.textContent = "There are so many keys that long ones are shortened.";
      container.append(note);
    }
  }

  function places(count) {
    const numbers = new Uint32Array(count);
    for (let i = 0; i < count; i += 1) numbers[i] = i;
    return numbers;
  }

  function drawMemory({ memory: [at, ...values], began, ended, limit }) {
    const container = document.getElementById("memory-drawing");
    if (!container) return;
    const chart = new globalThis.MobulaCharts.TimeChart(container, {
      label: "Memory over time",
      series: [
        { name: "values in memory", colour: 0, area: true },
        { name: "values on disk", colour: 1, area: true },
        { name: "resident, with all that is not Mobula's", colour: 5 },
      ],
      limit: limit === null ? null : { name: "limit", value: limit },
    });
    chart.set({ at: at.map((time) => time - began), values });
    chart.advance(ended - began);
  }

  for (const table of document.querySelectorAll("table.sortable")) globalThis.MobulaTables.sortable(table);
  const data = JSON.parse(text("page-data"));
  drawMemory(data);
  drawStream(data).catch((error) => {
    const container = document.getElementById("stream-drawing");
    container.textContent = `The task stream cannot be drawn: ${error.message}. The tables below hold.`;
    throw error;
  });
})();
