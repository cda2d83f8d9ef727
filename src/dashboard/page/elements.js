// What the panels have in common: elements that are written to only when something has changed, and lists whose
// elements stay the same from one snapshot to the next.

export const { make, prefixColour, prefersStillness } = globalThis.MobulaSurface;
export const format = globalThis.MobulaFormat;

export const find = (id) => document.getElementById(id);

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (value == null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** A number in words, and as it is for those who read it by program. */
export function setNumber(element, value, text) {
  setAttribute(element, "data-value", value);
  setText(element, text);
}

export function show(element, isVisible) {
  if (element.hidden === isVisible) element.hidden = !isVisible;
}

/** So many in a second. */
export function rate(value) {
  return value >= 100 ? format.count(value) : format.short(value);
}

/** "1 task", "2 tasks", "1 retry", "2 retries". */
export function counted(count, one, more = `${one}s`) {
  return `${format.count(count)} ${count === 1 ? one : more}`;
}

/**
 * A list whose items have keys: `make(item)` makes `{ element, update(item) }` for an item that is new, `update` is
 * called for each that is shown. With `keepsOrder` an element stays where it is, so that a table stays sorted.
 */
export class Keyed {
  #entries = new Map();

  constructor(container, { key, make: makeEntry, keepsOrder = false }) {
    Object.assign(this, { container, key, makeEntry, keepsOrder });
  }

  get size() {
    return this.#entries.size;
  }

  get(key) {
    return this.#entries.get(key);
  }

  update(items) {
    const keys = new Set(items.map(this.key));
    for (const [key, entry] of this.#entries) {
      if (keys.has(key)) continue;
      entry.element.remove();
      this.#entries.delete(key);
    }
    let next = this.container.firstElementChild;
    for (const item of items) {
      const key = this.key(item);
      let entry = this.#entries.get(key);
      const isNew = entry === undefined;
      if (isNew) {
        entry = this.makeEntry(item);
        this.#entries.set(key, entry);
      }
      entry.update(item);
      if (this.keepsOrder) {
        if (isNew) this.container.append(entry.element);
      } else if (entry.element === next) {
        next = next.nextElementSibling;
      } else {
        this.container.insertBefore(entry.element, next);
      }
    }
  }
}

/** A list of figures: `[[name, term], …]`; `set(name, value, text, small)` writes one. */
export class Figures {
  #entries = new Map();

  constructor(list, attribute, terms) {
    for (const [name, term] of terms) {
      // They take their room before they are known.
      const number = make("span", { [attribute]: name }, "–");
      const small = make("small", {}, "\u00a0");
      list.append(make("div", {}, make("dt", {}, term), make("dd", {}, number, small)));
      this.#entries.set(name, { number, small });
    }
  }

  set(name, value, text, more = "") {
    const { number, small } = this.#entries.get(name);
    setNumber(number, value, text);
    setText(small, more);
  }
}

/** Each key prefix has one colour, in the order in which they were seen: on bars, in the stream and in graphs. */
export class Palette {
  names = [];
  #places = new Map();

  place(name) {
    let place = this.#places.get(name);
    if (place === undefined) {
      place = this.names.length;
      this.names.push(name);
      this.#places.set(name, place);
    }
    return place;
  }

  swatch(name) {
    const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = prefixColour(this.place(name));
    return swatch;
  }
}
