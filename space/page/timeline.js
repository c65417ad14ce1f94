// The timeline under a film: a row a layer with its span, the sound, and frame IoU over time.
//
// The scripts of a page are joined into one function's body, this one first; each is a closure that gives out a few names,
// so that none takes another's by accident. Names of layers go onto the canvas or into textContent, never into HTML.

const { makeTimeline, penOn, shortened } = (() => {
  const ROW = 20;
  const SOUND = 36;
  const CURVE = 60;
  const AXIS = 22;
  const GAP = 6;
  const EDGE = 10; // at the right, or the last tick's label would be cut
  const FONT = "12px system-ui, sans-serif";
  const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600];

  // --- what both scripts draw with ---

  // A context over a canvas as large as it is shown, cleared, in CSS pixels.
  function penOn(canvas) {
    const { clientWidth: width, clientHeight: height } = canvas;
    const scale = devicePixelRatio || 1;
    const size = [Math.round(width * scale), Math.round(height * scale)];
    if (canvas.width !== size[0]) canvas.width = size[0];
    if (canvas.height !== size[1]) canvas.height = size[1];
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    return { context, width, height };
  }

  function shortened(text, most) {
    const start = [...text.slice(0, 2 * most + 2)];
    return start.length > most ? `${start.slice(0, most - 1).join("")}…` : text;
  }

  // A canvas knows nothing of CSS variables: the page's colours, light or dark, are asked for at each drawing.
  function textColours(node) {
    const text = getComputedStyle(node).color;
    return {
      text,
      quiet: `color-mix(in srgb, ${text} 70%, transparent)`,
      faint: `color-mix(in srgb, ${text} 16%, transparent)`,
    };
  }

  const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

  function tickLabel(seconds) {
    const whole = Math.floor(seconds / 60);
    return seconds < 120
      ? `${+seconds.toFixed(1)} s`
      : `${whole}:${String(Math.round(seconds - 60 * whole)).padStart(2, "0")}`;
  }

  // --- where what stands ---

  // From top to bottom: the layers' rows, the sound, the curves, the axis; a part that there is nothing to show in is left out.
  function planOf(shown, width) {
    const gutter = clamp(width * 0.2, 52, 150);
    let y = GAP;
    const take = (height) => (y += height) - height;
    const rows = shown.layers.map(() => take(ROW));
    const sound = shown.sound === undefined ? null : take(SOUND + GAP) + GAP;
    const curves = shown.layers.some((layer) => layer.curve.length) ? take(CURVE + 2 * GAP) + GAP : null;
    const axis = take(AXIS);
    return { left: gutter, right: width - EDGE, rows, sound, curves, axis, height: y };
  }

  function makeTimeline(canvas, playhead, onSeek) {
    let shown = { duration: 0, layers: [], sound: undefined };
    let plan = planOf(shown, 0);
    let time = 0;

    const span = () => Math.max(shown.duration, 1e-3);
    const across = (at) => plan.left + ((plan.right - plan.left) * clamp(at, 0, span())) / span();

    // --- drawing ---

    function draw() {
      plan = planOf(shown, canvas.clientWidth);
      canvas.style.height = `${plan.height}px`;
      const { context } = penOn(canvas);
      const colours = textColours(canvas);
      context.font = FONT;
      context.textBaseline = "middle";
      drawAxis(context, colours);
      shown.layers.forEach((layer, place) => drawRow(context, colours, layer, plan.rows[place]));
      if (plan.sound !== null) drawSound(context, colours);
      if (plan.curves !== null) drawCurves(context, colours);
      place(time);
    }

    function name(context, colours, text, y) {
      context.fillStyle = colours.quiet;
      let label = shortened(text, 40);
      while (label.length > 1 && context.measureText(label).width > plan.left - 8)
        label = `${[...label].slice(0, -2).join("")}…`;
      context.fillText(label, 0, y);
    }

    // The span as a band; under it a thin line where boxes are seen.
    function drawRow(context, colours, layer, y) {
      name(context, colours, layer.label, y + ROW / 2 - 1);
      context.fillStyle = colours.faint;
      context.fillRect(plan.left, y + ROW - 5, plan.right - plan.left, 1);
      context.globalAlpha = layer.hidden ? 0.25 : 1;
      context.fillStyle = layer.style.colour;
      if (layer.span)
        context.fillRect(across(layer.span[0]), y + 2, Math.max(2, across(layer.span[1]) - across(layer.span[0])), 9);
      for (const [start, end] of layer.seen)
        context.fillRect(across(start), y + ROW - 6, Math.max(1, across(end) - across(start)), 3);
      context.globalAlpha = 1;
    }

    // The film's own seconds: it may be longer or shorter than the data set says.
    function drawSound(context, colours) {
      const middle = plan.sound + SOUND / 2;
      name(context, colours, shown.sound ? "sound" : "no sound", middle);
      context.fillStyle = colours.faint;
      context.fillRect(plan.left, middle - 0.5, plan.right - plan.left, 1);
      if (!shown.sound) return;
      context.fillStyle = colours.quiet;
      const { peaks, seconds } = shown.sound;
      const each = ((span() / seconds) * peaks.length) / (plan.right - plan.left); // peaks in a column
      for (let column = 0; column < plan.right - plan.left && column * each < peaks.length; column++) {
        const from = Math.floor(column * each);
        const until = Math.max(from + 1, Math.floor((column + 1) * each));
        const half = (SOUND / 2) * clamp(Math.max(...peaks.slice(from, until)), 0, 1);
        if (half > 0) context.fillRect(plan.left + column, middle - half, 1, 2 * half);
      }
    }

    function drawCurves(context, colours) {
      name(context, colours, "IoU", plan.curves + CURVE / 2);
      context.fillStyle = colours.faint;
      for (const part of [0, 0.5, 1]) context.fillRect(plan.left, plan.curves + CURVE * part, plan.right - plan.left, 1);
      context.fillStyle = colours.quiet;
      context.textAlign = "right";
      context.fillText("1", plan.left - 4, plan.curves + 3);
      context.fillText("0", plan.left - 4, plan.curves + CURVE - 2);
      context.textAlign = "left";
      for (const layer of shown.layers) if (layer.curve.length && !layer.hidden) drawCurve(context, colours, layer);
    }

    // A line through the values, broken where nothing is annotated; a value that stands alone is a dot.
    function drawCurve(context, colours, { curve, style }) {
      const runs = [[]];
      for (const [at, value] of curve.filter(([time]) => time <= span())) {
        if (value === null) runs.push([]);
        else runs.at(-1).push([across(at), plan.curves + CURVE * (1 - value)]);
      }
      for (const [colour, width, alpha] of [
        [colours.text, 3.5, 0.25],
        [style.colour, 2.5, 1],
      ]) {
        context.strokeStyle = context.fillStyle = colour;
        context.lineWidth = width;
        context.globalAlpha = alpha;
        context.setLineDash(style.curveDash);
        for (const run of runs) run.length === 1 ? drawDot(context, run[0], width) : drawRun(context, run);
      }
      context.setLineDash([]);
      context.globalAlpha = 1;
    }

    function drawRun(context, run) {
      context.beginPath();
      run.forEach(([x, y], place) => (place ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.stroke();
    }

    function drawDot(context, [x, y], width) {
      context.beginPath();
      context.arc(x, y, width, 0, 2 * Math.PI);
      context.fill();
    }

    function drawAxis(context, colours) {
      const most = Math.max(1, (plan.right - plan.left) / 64);
      const step = STEPS.find((one) => span() / one <= most) ?? span() / most;
      context.textAlign = "center";
      for (let tick = 0; tick <= span() + 1e-6; tick += step) {
        context.fillStyle = colours.faint;
        context.fillRect(across(tick) - 0.5, 0, 1, plan.axis + 3);
        context.fillStyle = colours.quiet;
        const label = tickLabel(tick);
        const half = context.measureText(label).width / 2;
        context.fillText(label, Math.min(across(tick), plan.right + EDGE - half), plan.axis + 12);
      }
      context.textAlign = "left";
    }

    // --- the time on screen ---

    function place(now) {
      time = now;
      playhead.style.transform = `translateX(${across(now) - 1}px)`;
      playhead.style.height = `${plan.axis + 2}px`;
    }

    function speak(now) {
      canvas.setAttribute("aria-valuemax", shown.duration.toFixed(2));
      canvas.setAttribute("aria-valuenow", now.toFixed(2));
      canvas.setAttribute("aria-valuetext", `${now.toFixed(2)} of ${shown.duration.toFixed(2)} seconds`);
    }

    // --- hands ---

    function atPointer(event) {
      const dragged = event.type === "pointerdown" ? event.button === 0 : canvas.hasPointerCapture(event.pointerId);
      if (!dragged || !shown.duration) return;
      if (event.type === "pointerdown") canvas.setPointerCapture(event.pointerId);
      const { left } = canvas.getBoundingClientRect();
      onSeek(clamp((event.clientX - left - plan.left) / (plan.right - plan.left), 0, 1) * shown.duration);
    }

    canvas.addEventListener("pointerdown", atPointer);
    canvas.addEventListener("pointermove", atPointer);
    canvas.addEventListener("keydown", (event) => {
      const goals = {
        Home: 0,
        End: shown.duration,
        PageUp: time + shown.duration / 10,
        PageDown: time - shown.duration / 10,
        ArrowUp: time + 1,
        ArrowDown: time - 1,
      };
      if (!(event.key in goals) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      onSeek(clamp(goals[event.key], 0, shown.duration));
    });
    new ResizeObserver(draw).observe(canvas.parentElement);

    // `layers`: {label, style, hidden, span, seen: [[start, end], ...], curve}; `sound`: {peaks, seconds}, null where nothing
    // is heard, undefined where there is no film.
    function show(next) {
      shown = next;
      playhead.hidden = !next.duration;
      draw();
    }

    return { show, draw, place, speak };
  }

  return { makeTimeline, penOn, shortened };
})();
