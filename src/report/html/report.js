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

  /** The number of each run, where its tasks begin in the list of all, and by task the place of its prefix. */
  function readTasks(reader) {
    const runs = new Float64Array(reader.number());
    const prefixes = new Uint32Array(reader.number());
    const firsts = new Uint32Array(runs.length + 1);
    for (let run = 0; run < runs.length; run += 1) {
      runs[run] = reader.number();
      firsts[run + 1] = firsts[run] + reader.number();
      for (let i = firsts[run]; i < firsts[run + 1]; i += 1) prefixes[i] = reader.number();
    }
    /** The place of a task in the list of all, if anything is known of it. */
    const find = (run, task) => (firsts[run] + task < firsts[run + 1] ? firsts[run] + task : -1);
    return { runs, prefixes, firsts, find };
  }

  /** The columns of all spans, worker after worker, in seconds from the start; see `write_spans` in pack.rs. */
  function readSpans(bytes, tick) {
    const reader = new Reader(bytes);
    const rows = Array.from({ length: reader.number() }, () => reader.number());
    const count = rows.reduce((sum, row) => sum + row, 0);
    const tasks = readTasks(reader);
    const gaps = new Float64Array(count);
    for (let i = 0; i < count; i += 1) gaps[i] = reader.difference();
    const [from, to] = [new Float64Array(count), new Float64Array(count)];
    const worker = new Uint16Array(count);
    let i = 0;
    rows.forEach((length, row) => {
      let at = 0;
      for (const end = i + length; i < end; i += 1) {
        at += gaps[i];
        from[i] = at * tick;
        at += reader.number();
        to[i] = at * tick;
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
    return { count, tasks, from, to, worker, run, task, size, failed };
  }

  /** The keys of all tasks, by their places; see `write_keys` in pack.rs. */
  function readKeys(bytes, { runs, prefixes, firsts }) {
    const reader = new Reader(bytes);
    let keys = new Uint8Array(4 * bytes.length + 64);
    let length = 0;
    const starts = new Uint32Array(prefixes.length + 1);
    reader.number();
    for (let run = 0; run < runs.length; run += 1) {
      reader.number();
      // By prefix: where the last key of it begins.
      const last = new Map();
      for (let task = firsts[run]; task < firsts[run + 1]; task += 1) {
        const shared = reader.number();
        const rest = reader.number();
        if (length + shared + rest > keys.length) {
          const larger = new Uint8Array(2 * (length + shared + rest));
          larger.set(keys.subarray(0, length));
          keys = larger;
        }
        // Byte by byte: calls for so few of them would take longer.
        const start = shared > 0 ? last.get(prefixes[task]) : 0;
        for (let i = 0; i < shared; i += 1) keys[length + i] = keys[start + i];
        for (let i = 0; i < rest; i += 1) keys[length + shared + i] = reader.bytes[reader.at + i];
        reader.at += rest;
        last.set(prefixes[task], length);
        length += shared + rest;
        starts[task + 1] = length;
      }
    }
    const decoder = new TextDecoder();
    return (place) => decoder.decode(keys.subarray(starts[place], starts[place + 1]));
  }

  async function drawStream(data) {
    const container = document.getElementById("stream-drawing");
    if (!container) return;
    const state = document.getElementById("stream-state");
    if (!globalThis.DecompressionStream) {
      state.textContent = "This browser is too old to draw it: it has no DecompressionStream. The tables below hold.";
      return;
    }
    const spans = readSpans(await unpack("span-data"), data.tick);
    const { tasks } = spans;
    const prefix = new Uint32Array(spans.count);
    const nameless = Math.max(data.prefixes.indexOf("?"), 0);
    for (let i = 0; i < spans.count; i += 1) {
      const place = tasks.find(spans.run[i], spans.task[i]);
      prefix[i] = place < 0 ? nameless : tasks.prefixes[place];
    }
    let keyOf = null;
    const describe = (i, { worker, from, to, failed }) => {
      const place = tasks.find(spans.run[i], spans.task[i]);
      const lines = [
        keyOf && place >= 0 ? keyOf(place) : `task ${spans.task[i]}`,
        `${data.prefixes[prefix[i]] ?? "?"}, run ${tasks.runs[spans.run[i]]}, worker ${data.workers[worker]}`,
        `${format.seconds(to - from)} from ${format.seconds(from)} on`,
        failed ? "failed" : format.bytes(spans.size[i]),
      ];
      return lines.join("\n");
    };
    state.remove();
    const { workers, prefixes } = data;
    const stream = new globalThis.MobulaStream.TaskStream(container, { workers, prefixes, describe });
    const { from, to, worker, failed } = spans;
    const places = new Uint32Array(spans.count);
    for (let i = 0; i < spans.count; i += 1) places[i] = i;
    stream.append({ from, to, worker, prefix, failed, tasks: places });
    await new Promise((seen) => requestAnimationFrame(() => setTimeout(seen)));
    performance.mark("stream drawn");
    // The keys come last in the page.
    if (document.readyState === "loading") {
      await new Promise((read) => document.addEventListener("DOMContentLoaded", read, { once: true }));
    }
    keyOf = readKeys(await unpack("key-data"), tasks);
    performance.mark("keys read");
    if (JSON.parse(text("keys-were-cut"))) {
      const note = document.createElement("p");
      note.className = "note";
      note.textContent = "There are so many keys that long ones are shortened.";
      container.append(note);
    }
  }

  function drawMemory({ memory: [at, ...values], began, ended, limit }) {
    const container = document.getElementById("memory-drawing");
    if (!container) return;
    const all = [
      { name: "values in memory", colour: 0, area: true },
      { name: "values on disk", colour: 1, area: true },
      { name: "resident, with all that is not Mobula's", colour: 5 },
    ];
    // Most recordings never see the disk.
    const kept = all.map((_, which) => which !== 1 || values[which].some((value) => value > 0));
    const chart = new globalThis.MobulaCharts.TimeChart(container, {
      label: "Memory over time",
      series: all.filter((_, which) => kept[which]),
      limit: limit === null ? null : { name: "limit", value: limit },
    });
    chart.set({ at: at.map((time) => time - began), values: values.filter((_, which) => kept[which]) });
    chart.advance(ended - began);
  }

  /** A graph is as large as its keys must be to be read; a button makes it fit. */
  function fitGraphs() {
    for (const graph of document.querySelectorAll(".graph")) {
      const button = globalThis.MobulaSurface.make("button", { type: "button", "aria-pressed": "false" }, "Fit to width");
      button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", String(graph.classList.toggle("fitted")));
      });
      graph.before(button);
      const svg = graph.querySelector("svg");
      button.hidden = !svg || svg.width.baseVal.value <= graph.clientWidth;
    }
  }

  for (const table of document.querySelectorAll("table.sortable")) globalThis.MobulaTables.sortable(table);
  const data = JSON.parse(text("page-data"));
  drawMemory(data);
  fitGraphs();
  drawStream(data).catch((error) => {
    const container = document.getElementById("stream-drawing");
    container.textContent = `The task stream cannot be drawn: ${error.message}. The tables below hold.`;
    throw error;
  });
})();
