// The graph of a run: boxes and arrows at the places that the server has found for them, coloured by how tasks stand.

import { counted, find, format, make, setAttribute, setText, show } from "./elements.js";
import { Refusal, ask } from "./live.js";

const STATES = ["waiting", "running", "done", "cached", "failed", "skipped", "unneeded"];
const NAMES = ["waiting", "running", "done", "cached", "failed", "skipped", "not needed"];
/** How far apart two questions for states and for graphs are at least, in milliseconds. */
const APART = 1000;
const GRAPHS_APART = 2000;
const [LEAST, MOST] = [0.05, 4];

const NAMESPACE = "http://www.w3.org/2000/svg";

function drawn(name, attributes = {}) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

export class Graph {
  #chosen = null;
  #graph = null;
  #nodes = [];
  #scale = 1;
  #asked = 0;
  #isAsking = false;
  #isSeen = false;
  #refused = new Set();
  #finished = null;

  constructor(palette, lookUp) {
    this.palette = palette;
    this.lookUp = lookUp;
    this.note = find("graph-note");
    this.empty = find("graph-body").firstElementChild;
    this.#build();
    // Nobody asks for what nobody sees.
    new IntersectionObserver((entries) => {
      this.#isSeen = entries.at(-1).isIntersecting;
    }, { rootMargin: "200px" }).observe(find("graph"));
  }

  #build() {
    this.select = make("select", { id: "graph-run" });
    this.select.addEventListener("change", () => {
      this.#chosen = this.select.value === "" ? null : Number(this.select.value);
      this.#asked = 0;
    });
    const button = (label, text, act) => {
      const made = make("button", { type: "button", "aria-label": label, title: label }, text);
      made.addEventListener("click", act);
      return made;
    };
    const tools = make(
      "div",
      { class: "drawing-tools" },
      make("label", { for: "graph-run" }, "Run"),
      this.select,
      button("Zoom in", "+", () => this.#zoom(1.4)),
      button("Zoom out", "−", () => this.#zoom(1 / 1.4)),
      button("Show the whole graph", "All", () => this.#fit(LEAST)),
      button("Show it in its own size", "1:1", () => this.#zoom(1 / this.#scale)),
    );
    this.legend = make("ul", { class: "legend", "aria-label": "How tasks stand" });
    NAMES.forEach((name, state) => {
      this.legend.append(make("li", {}, make("span", { class: `swatch state-${STATES[state]}`, "aria-hidden": "true" }), name));
    });
    this.scroll = make("div", { class: "graph", tabindex: "0", role: "group", "aria-label": "Graph" });
    this.scroll.addEventListener("keydown", (event) => {
      const act = { "+": 1.4, "=": 1.4, "-": 1 / 1.4 }[event.key];
      if (act) this.#zoom(act);
      else if (event.key === "0") this.#fit(LEAST);
    });
    this.scroll.append(make("p", { class: "empty" }, "The graph is drawn as soon as it is known."));
    this.body = make("div", { hidden: true }, tools, this.scroll, this.legend);
    find("graph-body").append(this.body);
  }

  update(snapshot) {
    const runs = [...snapshot.runs].reverse();
    show(this.empty, runs.length === 0);
    show(this.body, runs.length > 0);
    this.#fillSelect(runs);
    // The last one is followed, but one that goes on is shown to its end.
    const known = (id) => runs.find((run) => run.id === id && !this.#refused.has(id));
    const held = known(this.#graph?.run);
    const last = held?.status === "running" ? held : runs.find((run) => !this.#refused.has(run.id));
    const run = this.#chosen === null ? last : known(this.#chosen);
    if (!run) {
      if (runs.length > 0) this.#forget();
      return;
    }
    if (this.#graph?.run === run.id && this.#graph.grouped) this.#colourGroups(run);
    if (!this.#isSeen || document.hidden || this.#isAsking) return;
    const since = performance.now() - this.#asked;
    if (this.#graph?.run !== run.id) {
      if (since > GRAPHS_APART) this.#load(run);
    } else if (!this.#graph.grouped && this.#finished !== run.id && since > APART) {
      this.#refresh(run);
    }
  }

  /** Says why nothing is drawn. */
  #forget() {
    setText(this.note, "");
    if (this.#graph === null && this.scroll.dataset.isForgotten) return;
    this.#graph = null;
    this.#nodes = [];
    this.scroll.dataset.isForgotten = "true";
    this.scroll.replaceChildren(make("p", { class: "empty" }, "The graph of this run is not known any more."));
  }

  #fillSelect(runs) {
    const wanted = ["", ...runs.map((run) => String(run.id))];
    if (this.#chosen !== null && !wanted.includes(String(this.#chosen))) wanted.push(String(this.#chosen));
    const have = [...this.select.options].map((option) => option.value);
    if (wanted.join() === have.join()) return;
    this.select.replaceChildren(...wanted.map((id) => make("option", { value: id }, id === "" ? "the last one" : `run ${id}`)));
    this.select.value = this.#chosen === null ? "" : String(this.#chosen);
  }

  async #question(path, run, answered) {
    this.#asked = performance.now();
    this.#isAsking = true;
    try {
      answered(await ask(path, { run: run.id }));
      if (run.status !== "running") this.#finished = run.id;
    } catch (error) {
      if (error instanceof Refusal) {
        this.#refused.add(run.id);
      } else if (!(error instanceof TypeError)) {
        throw error;
      }
    } finally {
      this.#isAsking = false;
    }
  }

  #load(run) {
    return this.#question("/api/graph", run, (graph) => {
      this.#draw(graph);
      if (graph.grouped) this.#colourGroups(run);
    });
  }

  #refresh(run) {
    return this.#question("/api/states", run, ({ states }) => {
      for (const node of this.#nodes) if (node.task !== null) node.become(Number(states[node.task] ?? 0));
    });
  }

  #draw(graph) {
    const isFirst = this.#graph === null;
    const { width, height } = graph;
    this.#graph = graph;
    delete this.scroll.dataset.isForgotten;
    this.svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, class: graph.grouped ? "grouped" : "single", role: "img" });
    const marker = drawn("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" });
    marker.append(drawn("path", { d: "M0 0L8 4L0 8Z", class: "head" }));
    const defs = drawn("defs");
    defs.append(marker);
    this.svg.append(defs);
    const few = graph.edges.length <= 400;
    if (few) for (const edge of graph.edges) this.svg.append(drawn("path", { d: route(edge.points), class: "edge", "marker-end": "url(#arrow)" }));
    // Thousands of arrows are one path.
    else this.svg.append(drawn("path", { d: graph.edges.map((edge) => route(edge.points)).join(""), class: "edge" }));
    this.#nodes = graph.nodes.map((node) => new Node(node, this.palette));
    this.svg.append(...this.#nodes.map((node) => node.element));
    this.svg.addEventListener("click", (event) => {
      const node = this.#nodes.find(({ element }) => element.contains(event.target));
      if (node && node.task !== null) this.lookUp(node.label);
    });
    const what = graph.grouped ? counted(graph.nodes.length, "key prefix", "key prefixes") : counted(graph.nodes.length, "node");
    const words = `Run ${graph.run}: ${what}, ${counted(graph.edges.length, "arrow")}`;
    setAttribute(this.svg, "aria-label", `Graph of run ${graph.run}: ${what}, ${counted(graph.edges.length, "arrow")}.`);
    setText(this.note, graph.grouped ? `${words}; too many tasks to draw each` : words);
    this.scroll.replaceChildren(this.svg);
    if (isFirst || this.shape !== `${width} ${height}`) this.#fit(0.45);
    else this.#resize();
    this.shape = `${width} ${height}`;
  }

  #colourGroups(run) {
    const counts = new Map(run.prefixes.map((prefix) => [prefix.name, prefix.counts]));
    for (const node of this.#nodes) {
      const of = counts.get(node.prefix);
      if (of) node.count(of);
    }
  }

  #zoom(factor) {
    const box = this.scroll;
    const middle = [(box.scrollLeft + box.clientWidth / 2) * factor, (box.scrollTop + box.clientHeight / 2) * factor];
    this.#scale = Math.min(MOST, Math.max(LEAST, this.#scale * factor));
    this.#resize();
    box.scrollTo(middle[0] - box.clientWidth / 2, middle[1] - box.clientHeight / 2);
  }

  /** As large as there is room for, but not smaller than can be read. */
  #fit(least) {
    if (!this.#graph) return;
    const { width, height } = this.#graph;
    const fitting = Math.min((this.scroll.clientWidth - 2) / width, 560 / height, 1);
    this.#scale = Math.max(least, fitting);
    this.#resize();
  }

  #resize() {
    if (!this.#graph) return;
    this.svg.setAttribute("width", Math.round(this.#graph.width * this.#scale));
    this.svg.setAttribute("height", Math.round(this.#graph.height * this.#scale));
  }
}

/** The way of an arrow: upright where it begins and ends. */
function route(points) {
  let way = "";
  points.forEach(([x, y], place) => {
    if (place === 0) {
      way = `M${x} ${y}`;
      return;
    }
    const [oldX, oldY] = points[place - 1];
    const middle = (y + oldY) / 2;
    way += x === oldX || y === oldY ? `L${x} ${y}` : `C${oldX} ${middle} ${x} ${middle} ${x} ${y}`;
  });
  return way;
}

/** A label that fits. Keys of one prefix differ at their end, so that is kept. */
function shortened(label, width) {
  // Letters are about 6.65 wide.
  const room = Math.max(4, Math.floor(width / 6.65));
  if (label.length <= room) return label;
  const tail = Math.floor(room * 0.45);
  return `${label.slice(0, room - 1 - tail)}…${label.slice(-tail)}`;
}

class Node {
  #state = -1;

  constructor({ x, y, w, h, label, prefix, task, tasks, state }, palette) {
    Object.assign(this, { label, prefix, task, palette });
    this.element = drawn("g", { class: "node", "data-node": label });
    this.box = { left: x - w / 2, top: y - h / 2, w, h };
    const { left, top } = this.box;
    this.title = drawn("title");
    const radius = Math.min(6, h / 4);
    this.element.append(this.title, drawn("rect", { x: left, y: top, width: w, height: h, rx: radius, class: "shape" }));
    if (task === null && tasks > 1) {
      this.fill = drawn("rect", { x: left, y: top, width: 0, height: h, rx: radius, class: "fill" });
      this.element.append(this.fill);
    }
    const mark = drawn("rect", { x: left + 4, y: top + 4, width: 4, height: h - 8, rx: 2 });
    mark.style.fill = `var(--prefix-${palette.place(prefix) % 12})`;
    const text = drawn("text", { x: x + 4, y });
    text.textContent = shortened(label, w - 16);
    this.element.append(mark, text);
    this.become(state);
  }

  become(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.element.setAttribute("data-state", STATES[state] ?? "waiting");
    this.title.textContent = `${this.label}\n${NAMES[state] ?? "waiting"}`;
  }

  /** All tasks with one prefix: as many as have ended are filled in. */
  count(counts) {
    const ended = counts.done + counts.cached;
    let state = 0;
    if (counts.failed > 0) state = 4;
    else if (counts.total > 0 && ended === counts.total) state = counts.done === 0 ? 3 : 2;
    else if (counts.skipped > 0) state = 5;
    else if (counts.running > 0 || ended > 0) state = 1;
    this.become(state);
    const share = counts.total > 0 ? ended / counts.total : 0;
    this.fill?.setAttribute("width", (this.box.w * share).toFixed(1));
    setText(this.title, `${this.label}\n${format.count(ended)} of ${format.count(counts.total)} done, ${format.count(counts.failed)} failed`);
  }
}
