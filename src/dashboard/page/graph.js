// The graph of a run: boxes and arrows at the places that the server has found for them, coloured by how tasks stand.

import { counted, find, make, setAttribute, setText, show } from "./elements.js";
import { Node, beside, drawn, states } from "./graph-node.js";
import { Refusal, ask } from "./live.js";

/** How far apart two questions for states and for graphs are at least, in milliseconds. */
const APART = 1000;
const GRAPHS_APART = 2000;
const [LEAST, MOST] = [0.05, 4];
/** At first, a graph is not drawn smaller than can be read. */
const READABLE = 0.7;

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
  /** The node that the keyboard is at. */
  #current = null;

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
      button("All of the graph", "All", () => this.#fit(LEAST)),
      button("1:1, in its own size", "1:1", () => this.#zoom(1 / this.#scale)),
    );
    this.legend = make("ul", { class: "legend", "aria-label": "How tasks stand" });
    for (const [state, name] of states()) {
      this.legend.append(make("li", {}, make("span", { class: `swatch state-${state}`, "aria-hidden": "true" }), name));
    }
    this.scroll = make("div", { class: "graph", tabindex: "0", role: "group", "aria-label": "Graph" });
    this.scroll.addEventListener("keydown", (event) => this.#key(event));
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
    this.#current = null;
    this.scroll.dataset.isForgotten = "true";
    this.scroll.replaceChildren(make("p", { class: "empty" }, "The graph of this run is not known any more."));
  }

  #fillSelect(runs) {
    const wanted = ["", ...runs.map((run) => String(run.id))];
    if (this.#chosen !== null && !wanted.includes(String(this.#chosen))) wanted.push(String(this.#chosen));
    const have = [...this.select.options].map((option) => option.value);
    if (wanted.join() === have.join()) return;
    this.select.replaceChildren(...wanted.map((id) => make("option", { value: id }, id === "" ? "latest" : `run ${id}`)));
    this.select.value = this.#chosen === null ? "" : String(this.#chosen);
  }

  async #question(path, run, answered) {
    this.#asked = performance.now();
    this.#isAsking = true;
    try {
      const answer = await ask(path, { run: run.id });
      if (answer === null) this.#refused.add(run.id);
      else answered(answer);
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
    this.svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, class: graph.grouped ? "grouped" : "single", role: "group" });
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
      if (node) this.#open(node);
    });
    const tasks = counted(graph.tasks, "task");
    const groups = counted(graph.nodes.length, "group");
    const what = graph.grouped ? `${tasks} in ${groups} by key prefix` : tasks;
    const words = `Run ${graph.run}: ${what}, ${counted(graph.edges.length, "arrow")}`;
    setText(this.note, words);
    const keys = "Arrow keys go from box to box, Enter looks a key up, plus and minus zoom.";
    setAttribute(this.svg, "aria-label", `${words}. ${keys}`);
    this.scroll.replaceChildren(this.svg);
    if (isFirst || this.shape !== `${width} ${height}`) this.#fit(READABLE);
    else this.#resize();
    this.shape = `${width} ${height}`;
    this.#reveal();
  }

  /** Shows where the work is: what runs, or else the top. One box can be reached by Tab. */
  #reveal() {
    const running = this.#nodes.find((node) => node.isRunning);
    const [x, y] = running ? [running.x, running.y] : [this.#graph.width / 2, 0];
    const { clientWidth, clientHeight } = this.scroll;
    this.scroll.scrollTo(x * this.#scale - clientWidth / 2, y * this.#scale - clientHeight / 2);
    this.#current = null;
    this.#mark(running ?? this.#nodes[0] ?? null);
  }

  #mark(node) {
    this.#current?.element.setAttribute("tabindex", "-1");
    this.#current = node;
    node?.element.setAttribute("tabindex", "0");
  }

  #open(node) {
    this.#mark(node);
    if (node.task !== null) this.lookUp(node.label);
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const act = { "+": 1.4, "=": 1.4, "-": 1 / 1.4 }[event.key];
    const isAtNode = this.#current?.element === document.activeElement;
    if (act) {
      this.#zoom(act);
    } else if (event.key === "0") {
      this.#fit(LEAST);
    } else if (isAtNode && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      this.#open(this.#current);
    } else if (isAtNode && event.key.startsWith("Arrow")) {
      event.preventDefault();
      const next = beside(this.#nodes, this.#graph.edges, this.#current, event.key);
      if (next === null) return;
      this.#mark(next);
      next.element.focus({ preventScroll: true });
      next.element.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }

  #colourGroups(run) {
    const counts = new Map(run.prefixes.map((prefix) => [prefix.name, prefix.counts]));
    const rest = { ...run.counts };
    // The last one may stand for all prefixes that have no node of their own.
    const ofRest = this.#nodes.find((node) => node.label !== node.prefix);
    for (const node of this.#nodes) {
      const of = counts.get(node.prefix);
      if (!of || node === ofRest) continue;
      node.count(of);
      for (const name of Object.keys(rest)) rest[name] -= of[name];
    }
    ofRest?.count(rest);
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
