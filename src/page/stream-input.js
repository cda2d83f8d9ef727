// Pointer, wheel, touch and keyboard of a task stream; `stream.js` does what they say.
"use strict";

(() => {
  function attach(stream, canvas) {
    pointers(stream, canvas);
    wheel(stream, canvas);
    keys(stream, canvas);
  }

  function place(canvas, event) {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** One pointer drags, two pinch; one that is not down points. */
  function pointers(stream, canvas) {
    const down = new Map();
    let grip = null;
    /** Where the pointers hold the view: the moments under them. */
    const hold = () => {
      const moments = [...down.values()].map(([x, y]) => stream.locate(x, y).moment);
      grip = moments.length === 0 ? null : { moments, view: stream.view };
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      down.set(event.pointerId, place(canvas, event));
      hold();
    });
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = place(canvas, event);
      if (!down.has(event.pointerId)) {
        if (event.pointerType === "mouse") stream.hover(x, y);
        return;
      }
      const [oldX] = down.get(event.pointerId);
      if (down.size === 1 && Math.abs(oldX - x) < 3 && !grip.moved) return;
      grip.moved = true;
      down.set(event.pointerId, [x, y]);
      stream.tip.hide();
      drag(stream, [...down.values()], grip.moments);
    });
    const up = (event) => {
      if (!down.has(event.pointerId)) return;
      if (!grip.moved) stream.hover(...place(canvas, event));
      down.delete(event.pointerId);
      hold();
    };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointerleave", () => down.size === 0 && stream.leave());
    canvas.addEventListener("dblclick", (event) => stream.zoom(0.4, stream.locate(...place(canvas, event)).moment));
  }

  /** Moves the view so that the moments come under the pointers again. */
  function drag(stream, places, moments) {
    const under = places.map(([x, y]) => stream.locate(x, y).moment);
    const { low, high } = stream.view;
    if (places.length === 1) {
      const shift = moments[0] - under[0];
      stream.show(low + shift, high + shift);
      return;
    }
    const apart = under[1] - under[0];
    if (Math.abs(apart) < (high - low) / 50) return;
    const factor = Math.min(10, Math.max(0.1, Math.abs((moments[1] - moments[0]) / apart)));
    const middle = (moments[0] + moments[1]) / 2;
    const part = ((under[0] + under[1]) / 2 - low) / (high - low);
    const size = (high - low) * factor;
    stream.show(middle - part * size, middle + (1 - part) * size);
  }

  /** The wheel zooms once the stream was clicked or with Ctrl; else it scrolls the page. Sideways it moves the view. */
  function wheel(stream, canvas) {
    canvas.addEventListener(
      "wheel",
      (event) => {
        const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
        const zooming = event.ctrlKey || event.metaKey || document.activeElement === canvas;
        if (!sideways && !zooming) return;
        event.preventDefault();
        const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
        if (sideways) {
          stream.pan(((event.deltaX || event.deltaY) * unit) / canvas.clientWidth, true);
          return;
        }
        const { moment } = stream.locate(...place(canvas, event));
        stream.zoom(1.0022 ** (event.deltaY * unit), moment, true);
      },
      { passive: false },
    );
  }

  function keys(stream, canvas) {
    const acts = {
      ArrowLeft: (shift) => (shift ? stream.pan(-0.2) : stream.step(-1, 0)),
      ArrowRight: (shift) => (shift ? stream.pan(0.2) : stream.step(1, 0)),
      ArrowUp: () => stream.step(0, -1),
      ArrowDown: () => stream.step(0, 1),
      "+": () => stream.zoom(0.5),
      "=": () => stream.zoom(0.5),
      "-": () => stream.zoom(2),
      0: () => stream.showAll(),
      Home: () => stream.showAll(),
      Escape: () => stream.leave(),
    };
    canvas.addEventListener("keydown", (event) => {
      const act = acts[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act(event.shiftKey);
    });
    canvas.addEventListener("blur", () => stream.leave());
  }

  globalThis.MobulaStreamInput = Object.freeze({ attach });
})();
