// What all drawings on a canvas need: the right number of pixels, the theme's colours, and a redraw in the next frame
// when something has changed, and only then. `stream.js` and `charts.js` stand on it.
"use strict";

(() => {
  /** How many colours there are for key prefixes; see theme.css. */
  const PREFIXES = 12;

  /** Makes an element: `make("p", {class: "note"}, "text", child)`. Text is text, never markup. */
  function make(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === true) element.setAttribute(key, "");
      else if (value !== false && value != null) element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  }

  /** The colours of the theme as they are now. */
  function colours() {
    const style = getComputedStyle(document.documentElement);
    const token = (name) => style.getPropertyValue(`--${name}`).trim();
    return {
      card: token("card"),
      sunken: token("sunken"),
      ink: token("ink"),
      soft: token("ink-soft"),
      line: token("line"),
      accent: token("accent"),
      failed: token("failed"),
      warning: token("warning"),
      prefixes: Array.from({ length: PREFIXES }, (_, i) => token(`prefix-${i}`)),
      sans: token("sans"),
    };
  }

  /** The colour of the prefix at a place, as a CSS value for elements. */
  function prefixColour(place) {
    return `var(--prefix-${place % PREFIXES})`;
  }

  function prefersStillness() {
    return matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  /**
   * A canvas that calls `draw(context, width, height, colours, ratio)` when it must be drawn anew: after `touch()`,
   * after a change of its size, of the screen's resolution or of the theme. Width and height are CSS pixels; the
   * context is scaled.
   */
  class Surface {
    #draw;
    #height;
    #frame = 0;
    #colours = null;
    #closing = new AbortController();
    #sizes = new ResizeObserver(() => this.touch());

    constructor(canvas, draw, height) {
      this.canvas = canvas;
      this.context = canvas.getContext("2d");
      this.width = 0;
      this.ratio = 1;
      this.#draw = draw;
      this.#height = height;
      canvas.style.height = `${height}px`;
      this.#sizes.observe(canvas);
      const { signal } = this.#closing;
      const changed = () => {
        this.#colours = null;
        this.touch();
      };
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed, { signal });
      this.#watchRatio();
      this.touch();
    }

    /** A window may move to a screen of another resolution without a change of its size. */
    #watchRatio() {
      const changed = () => {
        this.touch();
        this.#watchRatio();
      };
      const here = matchMedia(`(resolution: ${globalThis.devicePixelRatio}dppx)`);
      here.addEventListener("change", changed, { once: true, signal: this.#closing.signal });
    }

    get height() {
      return this.#height;
    }

    set height(height) {
      if (height === this.#height) return;
      this.#height = height;
      this.canvas.style.height = `${height}px`;
      this.touch();
    }

    /** Draws in the next frame. */
    touch() {
      if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#paint());
    }

    #paint() {
      this.#frame = 0;
      const width = this.canvas.clientWidth;
      if (width === 0) return;
      this.#colours ??= colours();
      this.ratio = Math.min(globalThis.devicePixelRatio || 1, 3);
      this.width = width;
      const [columns, rows] = [Math.round(width * this.ratio), Math.round(this.#height * this.ratio)];
      if (this.canvas.width !== columns || this.canvas.height !== rows) {
        this.canvas.width = columns;
        this.canvas.height = rows;
      }
      this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      this.context.clearRect(0, 0, width, this.#height);
      this.#draw(this.context, width, this.#height, this.#colours, this.ratio);
    }

    /** Stops watching. */
    close() {
      this.#closing.abort();
      this.#sizes.disconnect();
      cancelAnimationFrame(this.#frame);
    }
  }

  /** A box with text near a place in a `.drawing`, kept inside of it. */
  class Tip {
    constructor(drawing) {
      this.drawing = drawing;
      this.element = make("div", { class: "drawing-tip", "aria-hidden": "true", hidden: true });
      drawing.append(this.element);
    }

    show(text, x, y) {
      this.element.textContent = text;
      this.element.hidden = false;
      const [width, height] = [this.element.offsetWidth, this.element.offsetHeight];
      const left = x + 14 + width > this.drawing.clientWidth ? x - 14 - width : x + 14;
      const top = y + 14 + height > this.drawing.clientHeight ? y - 10 - height : y + 14;
      const inside = Math.max(0, Math.min(left, this.drawing.clientWidth - width));
      this.element.style.transform = `translate(${inside}px, ${top}px)`;
    }

    hide() {
      this.element.hidden = true;
    }
  }

  /** The colour of a CSS value such as `#2f6fd0` as one number for a `Uint32Array` over pixels. */
  function pixel(colour) {
    const value = Number.parseInt(colour.slice(1), 16);
    return (0xff000000 | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
  }

  globalThis.MobulaSurface = Object.freeze({ Surface, Tip, make, colours, pixel, prefixColour, prefersStillness, PREFIXES });
})();
