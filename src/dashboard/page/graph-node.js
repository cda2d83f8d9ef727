// A box of the graph: a task, or all tasks with one key prefix. It can be pointed at and stepped to by keyboard.

import { format, setAttribute, setText } from "./elements.js";

/** By the number that the server says: the name for style sheets, and the one for people. */
const STATES = ["waiting", "running", "done", "cached", "failed", "skipped", "unneeded"];
const NAMES = ["waiting", "running", "done", "cached", "failed", "skipped", "not needed"];
const RUNNING = 1;

const NAMESPACE = "http://www.w3.org/2000/svg";

export function drawn(name, attributes = {}) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** `[name for style sheets, name for people]` of each state. */
export function states() {
  return STATES.map((state, place) => [state, NAMES[place]]);
}

/** A label that fits. Keys of one prefix differ at their end, so that is kept. */
function shortened(label, width) {
  // Letters are about 6.65 wide.
  const room = Math.max(4, Math.floor(width / 6.65));
  if (label.length <= room) return label;
  const tail = Math.floor(room * 0.45);
  return `${label.slice(0, room - 1 - tail)}…${label.slice(-tail)}`;
}

export class Node {
  #state = -1;

  constructor({ x, y, w, h, label, prefix, task, tasks, state }, palette) {
    Object.assign(this, { x, y, w, h, label, prefix, task });
    // Only tasks can be looked up.
    this.element = drawn("g", { class: "node", role: task === null ? "img" : "button", tabindex: "-1" });
    this.element.setAttribute("data-node", label);
    const [left, top, radius] = [x - w / 2, y - h / 2, Math.min(6, h / 4)];
    this.title = drawn("title");
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

  get isRunning() {
    return this.#state === RUNNING;
  }

  become(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.element.setAttribute("data-state", STATES[state] ?? "waiting");
    this.#tell(NAMES[state] ?? "waiting");
  }

  #tell(words) {
    setText(this.title, `${this.label}\n${words}`);
    setAttribute(this.element, "aria-label", `${this.label}, ${words}`);
  }

  /** All tasks with one prefix: as many as have ended are filled in. */
  count(counts) {
    const ended = counts.done + counts.cached;
    let state = 0;
    if (counts.failed > 0) state = 4;
    else if (counts.total > 0 && ended === counts.total) state = counts.done === 0 ? 3 : 2;
    else if (counts.skipped > 0) state = 5;
    else if (counts.running > 0 || ended > 0) state = RUNNING;
    this.become(state);
    const share = counts.total > 0 ? ended / counts.total : 0;
    this.fill?.setAttribute("width", (this.w * share).toFixed(1));
    this.#tell(`${format.count(ended)} of ${format.count(counts.total)} done, ${format.count(counts.failed)} failed`);
  }
}

/**
 * Where an arrow key leads from a node: down and up along arrows, to who needs it and to what it needs, or to the next
 * row if there are none; to the sides within the row. Of several the nearest one; null if there is none.
 */
export function beside(nodes, edges, from, key) {
  const way = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[key];
  const isInRow = (node) => Math.abs(node.y - from.y) < from.h / 2;
  if (key === "ArrowLeft" || key === "ArrowRight") {
    return nearest(nodes.filter((node) => isInRow(node) && (node.x - from.x) * way > 0), from);
  }
  const [here, there] = way > 0 ? ["from", "to"] : ["to", "from"];
  const place = nodes.indexOf(from);
  const along = edges.filter((edge) => edge[here] === place).map((edge) => nodes[edge[there]]);
  if (along.length > 0) return nearest(along, from);
  const ahead = nodes.filter((node) => !isInRow(node) && (node.y - from.y) * way > 0);
  const row = ahead.reduce((best, { y }) => ((y - best) * way < 0 ? y : best), Infinity * way);
  return nearest(ahead.filter((node) => Math.abs(node.y - row) < node.h / 2), from);
}

function nearest(nodes, { x }) {
  return nodes.reduce((best, node) => (best === null || Math.abs(node.x - x) < Math.abs(best.x - x) ? node : best), null);
}
