// The player: a film, over it the boxes of the truth and of models, under it a timeline; and the same again beside it to
// compare two. It talks to no server: the page's own script gives it what it needs as hooks.
// Everything that comes from a data set or a model goes into textContent or onto a canvas, never into HTML.

const { makePlayer, isTyping } = (() => {
  const HOLD = 1.0; // seconds; boxes stand on a grid of one second
  const EXACT = 0.05; // seconds; about one frame
  const NUDGE = 0.001; // a frame's time in the file may lie a rounding error after the annotated one
  const LATE = 200; // ms in which a browser shows the frame that it went to
  const PATIENCE = 600; // ms without a picture after which the page says that it waits
  const OWN_CLOCK = "the boxes move by a clock of their own";
  const FRAME = 1 / 30; // a frame's length where nobody says
  const LONG_FRAME = 0.15; // what passes for one frame until a seek is over
  const TYPED =
    "textarea, select, [contenteditable]:not([contenteditable=false]), input:not([type=checkbox], [type=range], [type=radio])";

  // Okabe and Ito's colours; a held box's dashes and a letter tell the models apart as well.
  const DARK = "rgba(0, 0, 0, 0.75)";
  const TRUTH = {
    colour: "#009e73",
    bright: "#1fd6a3",
    halo: DARK,
    ink: "#000",
    width: 4.5,
    dash: [],
    mark: "",
    curveDash: [],
  };
  const MODELS = [
    { colour: "#e69f00", bright: "#ffb31a", halo: DARK, ink: "#000", dash: [9, 6], curveDash: [] },
    { colour: "#56b4e9", bright: "#56b4e9", halo: DARK, ink: "#000", dash: [4, 4], curveDash: [7, 3] },
    { colour: "#cc79a7", bright: "#e58fc0", halo: DARK, ink: "#000", dash: [12, 4, 3, 4], curveDash: [2, 2] },
    { colour: "#f0e442", bright: "#f0e442", halo: DARK, ink: "#000", dash: [2, 4], curveDash: [9, 3, 2, 3] },
    { colour: "#d55e00", bright: "#ff7a1a", halo: DARK, ink: "#000", dash: [16, 5], curveDash: [12, 4] },
    {
      colour: "#0072b2",
      bright: "#0072b2",
      halo: "rgba(255, 255, 255, 0.8)",
      ink: "#fff",
      dash: [6, 3, 2, 3],
      curveDash: [4, 4],
    },
  ].map((style) => ({ ...style, width: 2.5 }));

  // --- what is where, and when: functions of a scene alone ---

  // The last annotated boxes at a time, unless they are older than the grid's step.
  function boxesAt(frames, time) {
    const last = frames.findLast(([start]) => start <= time + NUDGE);
    return last && time - last[0] <= HOLD + NUDGE ? { age: time - last[0], boxes: last[1] } : { age: 0, boxes: [] };
  }

  // The times from and to which a layer has boxes, held as they are drawn; stretches that touch are one.
  function seenSpans(layer, duration) {
    const spans = layer.tracks.flatMap(({ frames }) =>
      frames.flatMap(([start, boxes], place) => {
        const end = Math.min(frames[place + 1]?.[0] ?? Infinity, start + HOLD, Math.max(duration, start));
        return boxes.length ? [[start, end]] : [];
      }),
    );
    const joined = [];
    for (const [start, end] of spans.sort((one, other) => one[0] - other[0])) {
      const last = joined.at(-1);
      if (last && start <= last[1] + NUDGE) last[1] = Math.max(last[1], end);
      else joined.push([start, end]);
    }
    return joined;
  }

  // Ascending moments at which something is annotated; without any box, where the spans begin and end.
  function annotatedTimes(layers, isShown) {
    const times = layers.flatMap(({ tracks }) =>
      tracks.filter(isShown).flatMap(({ frames }) => frames.map(([time]) => time)),
    );
    return (times.length ? times : layers.flatMap(({ span }) => span ?? [])).sort((one, other) => one - other);
  }

  // Width and height of the frames that boxes are for; without film and size just so large that all boxes are in it.
  function frameSize(scene, video) {
    if (scene.frame) return scene.frame;
    if (video.videoWidth) return [video.videoWidth, video.videoHeight];
    const boxes = scene.layers.flatMap(({ tracks }) => tracks.flatMap(({ frames }) => frames.flatMap(([, own]) => own)));
    const most = (edge) => boxes.reduce((found, box) => Math.max(found, box[edge]), 0);
    return boxes.length ? [most(2) * 1.05, most(3) * 1.05] : [16, 9];
  }

  // Where a picture lies that fills a stage as far as it can without being cut or stretched.
  function placeOf([width, height], stage) {
    const scale = Math.min(stage.width / width, stage.height / height);
    return {
      left: (stage.width - width * scale) / 2,
      top: (stage.height - height * scale) / 2,
      width: width * scale,
      height: height * scale,
    };
  }

  // --- clocks: a film's, and one for questions without a film; times are those of the scene ---

  // The time of the frame that a film shows. It is asked for itself: by the time the browser calls, another may be up.
  function frameTime(video, mediaTime) {
    try {
      const frame = new VideoFrame(video);
      const ahead = frame.timestamp / 1e6 - mediaTime;
      frame.close();
      return ahead > 0 && ahead < 0.5 ? mediaTime + ahead : mediaTime;
    } catch {
      return mediaTime; // an older browser, or a film of another site
    }
  }

  // Tells the time of the frame on screen, not of the sound: boxes belong to the frame. `frames`: the frames' times, if known.
  function makeFilmClock(video, onTime) {
    const clock = { start: 0, time: 0, target: null, frames: null };
    let shown = 0; // when the frame on screen came
    let count = 0; // of the frames since the film was opened

    function tell(time) {
      clock.time = time;
      onTime(time);
    }
    // Paused after a seek, the frame on screen is the one at the target, which may have come a moment before it. But it may
    // still be the one before the seek, and where frames differ in length Chromium may stop at an earlier one.
    function settle() {
      if (!video.paused && !video.seeking) clock.target = null; // it has been there
      const next = clock.frames?.find((time) => time > shown + NUDGE) ?? (video.seeking ? shown + LONG_FRAME : Infinity);
      tell(video.paused && clock.target !== null && clock.target < next ? Math.max(shown, clock.target) : shown);
    }
    function onFrame(_, { mediaTime }) {
      video.requestVideoFrameCallback(onFrame);
      if (!video.currentSrc) return;
      count++;
      shown = frameTime(video, mediaTime) - clock.start;
      settle();
    }
    // For browsers that do not tell of frames.
    function onAnimation() {
      requestAnimationFrame(onAnimation);
      if (video.readyState < 2 || video.seeking || (count && shown === video.currentTime - clock.start)) return;
      count++;
      shown = video.currentTime - clock.start;
      settle();
    }
    video.addEventListener("emptied", () => (count = 0));
    video.addEventListener("play", () => (clock.target = null));
    // To a moment of the frame that is on screen already no frame comes.
    video.addEventListener("seeked", () => {
      const before = count;
      setTimeout(() => {
        if (count === before && count && video.paused) settle();
      }, LATE);
    });
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(onFrame);
    else onAnimation();

    return Object.assign(clock, {
      seek(time, aside = 0) {
        clock.target = time;
        video.currentTime = Math.max(0, time + clock.start + NUDGE + aside);
      },
      paused: () => video.paused,
      play: () => video.play().catch(() => {}), // a browser may refuse until the page is touched
      pause: () => video.pause(),
      speed: (rate) => {
        video.defaultPlaybackRate = video.playbackRate = rate;
      },
    });
  }

  function makeBareClock(onTime, onChange) {
    const clock = { time: 0, target: null, length: 0 };
    let rate = 1;
    let before = null; // when the last tick was; null: paused

    function tick(now) {
      if (before === null) return;
      const time = Math.min(clock.length, clock.time + ((now - before) / 1000) * rate);
      before = now;
      if (time >= clock.length) pause();
      else requestAnimationFrame(tick);
      tell(time);
    }
    function tell(time) {
      clock.time = time;
      onTime(time);
    }
    function pause() {
      before = null;
      onChange();
    }
    function play() {
      if (before !== null) return;
      if (clock.time >= clock.length) tell(0);
      before = performance.now();
      requestAnimationFrame(tick);
      onChange();
    }
    return Object.assign(clock, { seek: tell, paused: () => before === null, play, pause, speed: (next) => (rate = next) });
  }

  // --- drawing boxes ---

  // All dark edges lie under all lines, and models' lines are thinner than true ones: of two in one place both are seen.
  function paintLines(context, found) {
    for (const { place, style, held } of found) paintLine(context, place, style, held, style.halo, style.width + 2);
    for (const { place, style, held } of found) paintLine(context, place, style, held, style.bright, style.width);
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  function paintLine(context, place, style, held, colour, width) {
    context.setLineDash(held ? style.dash : []);
    context.globalAlpha = held && !style.dash.length ? 0.6 : 1;
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.strokeRect(...place);
  }

  const meet = (one, other) =>
    one.x < other.x + other.width &&
    other.x < one.x + one.width &&
    one.y < other.y + other.height &&
    other.y < one.y + one.height;

  // A label stands above a true box and below a model's, or on the other side where there is no room; another that is there
  // already pushes it on.
  function labelPlace(width, [x, y, , height], above, stage, taken) {
    const size = { width, height: 18 };
    const fits = (top) => Math.max(0, Math.min(stage.height - size.height, top));
    const [over, under] = [y - 21, y + height + 3];
    const goesOver = above ? over >= 0 : under > stage.height - size.height && over >= 0;
    const label = { ...size, x: Math.max(0, Math.min(stage.width - width, x - 1)), y: fits(goesOver ? over : under) };
    const step = goesOver ? -1 : 1;
    const tops = [...Array(8).keys()].flatMap((count) => [label.y + step * 18 * count, label.y - step * 18 * count]);
    const free = tops.find((top) => top === fits(top) && !taken.some((other) => meet({ ...label, y: top }, other)));
    return { ...label, y: free ?? label.y };
  }

  // Number and name are drawn apart, so that a name in another direction of writing turns nothing but itself.
  function paintLabel(context, one, stage, taken) {
    context.font = "600 12px system-ui, sans-serif";
    context.textBaseline = "middle";
    const number = `${one.style.mark}${one.object + 1}`;
    const name = shortened(one.name, 32);
    const [first, second] = [number, name].map((text) => context.measureText(text).width);
    const label = labelPlace(first + second + 13, one.place, one.truth, stage, taken);
    taken.push(label);
    context.fillStyle = one.style.bright;
    context.fillRect(label.x, label.y, label.width, label.height);
    context.fillStyle = one.style.ink;
    context.globalAlpha = 0.72;
    context.fillText(number, label.x + 4, label.y + 9.5);
    context.globalAlpha = 1;
    context.fillText(name, label.x + 9 + first, label.y + 9.5);
  }

  // --- hands and elements ---

  // Whether a key is for the field in which it is pressed, and no shortcut.
  const isTyping = ({ target }) => !(target instanceof Element) || target.closest(TYPED) !== null;

  function made(tag, properties = {}, ...children) {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  }

  // Makes a node's children those of `items`: a child whose key is there already stays, with its focus and its scrolling.
  function keep(parent, items, keyOf, make, fill) {
    const old = new Map([...parent.children].map((child) => [child.key, child]));
    items.forEach((item, place) => {
      const key = keyOf(item, place);
      const child = old.get(key) ?? Object.assign(make(item, place), { key });
      old.delete(key);
      if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
      fill(child, item, place);
    });
    for (const child of old.values()) child.remove();
  }

  const say = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };

  function makePlayer(root, hooks) {
    const find = (selector) => root.querySelector(selector);
    const video = find("video");
    const panels = [...root.querySelectorAll(".panel")].map((node) => ({
      node,
      name: node.querySelector("figcaption"),
      boxes: node.querySelector(".boxes"),
    }));
    const mirror = find(".mirror");
    const state = {
      scene: null,
      hiddenLayers: new Set(), // by name: they stay hidden from question to question
      hiddenObjects: new Set(), // by place
      compare: null, // the names of the layers on the left and on the right
      lastPair: null,
      styles: new Map(), // of models by name: they keep their colours from question to question
      sound: null, // of the film: its waveform and how long it lasts
      bare: true, // there is no film to be played
      up: true, // there is a picture, or none to wait for
      drawn: [], // what is on the stages
      asked: null, // a promise: the page was asked about the film
      turn: 0, // counts the scenes: what comes late for one before is dropped
      uncovered: new Set(), // names of layers that are shown because they are compared, and are hidden again afterwards
    };
    const film = makeFilmClock(video, onFilmTime);
    const bare = makeBareClock(onTime, onPlaying);
    const timeline = makeTimeline(find(".timeline"), find(".playhead"), (time) => seek(time));

    const clock = () => (state.bare ? bare : film);
    const length = () => state.scene?.duration || (video.duration || film.start) - film.start || 0;
    const models = () => state.scene.layers.filter(({ truth }) => !truth);
    const isLayerShown = ({ name }) => !state.hiddenLayers.has(name);
    const isTrackShown = ({ object }) => !state.hiddenObjects.has(object);
    // Whether a layer belongs on panels of these compared ones; the truth does on both.
    const isOn = ({ truth, name }, names) => !state.compare || truth || names.includes(name);
    const layersOf = (side) =>
      state.scene.layers.filter((layer) => isLayerShown(layer) && isOn(layer, [state.compare?.[side]]));

    function styleOf({ truth, name }) {
      if (truth) return TRUTH;
      if (!state.styles.has(name)) {
        const place = state.styles.size;
        state.styles.set(name, { ...MODELS[place % MODELS.length], mark: `${String.fromCharCode(65 + (place % 26))} ` });
      }
      return state.styles.get(name);
    }

    // --- showing a scene ---

    // `time` null: where the truth's span starts. Layers that are hidden stay so.
    function show(scene, { time = null } = {}) {
      clock().pause();
      const turn = ++state.turn;
      state.hiddenObjects.clear();
      Object.assign(state, { scene, sound: null });
      bare.length = scene.duration;
      root.classList.remove("empty");
      root.style.setProperty("--ratio", frameSize(scene, {}).join(" / "));
      video.setAttribute("aria-label", `Video ${shortened(scene.video_id, 80)}`);
      setSource(scene.video, scene.start);
      film.frames = null;
      if (!scene.video) note(`No video file for ${shortened(scene.video_id, 40)}: ${OWN_CLOCK}.`);
      fillAll();
      seek(time ?? scene.layers.find(({ truth }) => truth)?.span?.[0] ?? 0);
      if (!state.up) film.time = film.target; // until its picture is up, clock and playhead show where it goes
      draw(); // or the boxes of the scene before would stay
      state.asked = scene.video ? askMedia(scene, turn) : null;
    }

    // The same film and time, other layers.
    function update(scene) {
      if (!state.scene) return show(scene);
      state.scene = { ...scene, video: state.scene.video, start: state.scene.start };
      for (const place of state.hiddenObjects) if (place >= scene.objects.length) state.hiddenObjects.delete(place);
      bare.length = scene.duration;
      fillAll();
      return draw();
    }

    function clear(text) {
      clock().pause();
      state.turn++;
      stopComparing();
      Object.assign(state, { scene: null, drawn: [], sound: null });
      setSource(null, 0);
      root.classList.add("empty");
      root.style.removeProperty("--ratio");
      note(text);
      timeline.show({ duration: 0, layers: [], sound: undefined });
      for (const { boxes } of panels) penOn(boxes);
      for (const part of [".layers", ".objects", "thead", "tbody", ".answers"]) find(part).replaceChildren();
      for (const part of [".asked", ".clock", ".spoken"]) say(find(part), "");
      fillCompare();
    }

    function setSource(url, start) {
      state.bare = !url;
      for (const control of find(".sound").children) control.disabled = state.bare;
      film.start = start;
      note("");
      // Of a film that could not be played the browser says so once: only opening it anew lets the page ask for a copy.
      const failed = video.error || (video.readyState > 0 && !video.videoWidth);
      if ((url ?? null) === video.getAttribute("src") && !(url && failed)) return;
      state.up = state.bare;
      if (url) {
        video.src = url;
        setTimeout(sayWaiting, PATIENCE);
      } else {
        video.removeAttribute("src");
        video.load(); // or the picture of the film before would stay
      }
    }

    function sayWaiting() {
      if (!state.up && !state.bare && find(".note").hidden) note("The video is loading…");
    }

    function note(text) {
      say(find(".note"), text ?? "");
      find(".note").hidden = !text;
    }

    async function askMedia(scene, turn) {
      const found = await Promise.resolve(hooks.media?.(scene)).catch(() => null);
      if (turn !== state.turn || !found) return;
      film.frames = found.frame_times;
      state.sound = found.sound;
      fillTimeline();
    }

    // The browser cannot play the file: a copy that it can play, or the clock that needs no film.
    async function askPlayable() {
      const { scene, turn } = state;
      if (!scene?.video || state.bare) return;
      const isCopy = video.getAttribute("src") !== scene.video;
      const time = film.target ?? film.time;
      note("The browser cannot play this file; a copy that it can play is made…");
      const tell = (share) => {
        if (turn === state.turn) note(`A copy that the browser can play is made: ${Math.round(100 * share)} %`);
      };
      const found = isCopy ? null : await Promise.resolve(hooks.playable?.(scene, tell)).catch(() => null);
      if (turn !== state.turn) return;
      setSource(found?.url ?? null, found?.start ?? 0);
      if (!found) note(`The browser cannot play the file of ${shortened(scene.video_id, 40)}: ${OWN_CLOCK}.`);
      seek(time);
    }

    // --- the parts that say what there is ---

    function fillAll() {
      const names = state.scene.layers.map(({ name }) => name);
      if (state.compare?.some((name) => !names.includes(name))) stopComparing();
      for (const layer of models()) styleOf(layer);
      fillLegend();
      fillCompare();
      fillTimeline();
      fillDetails();
    }

    function fillTimeline() {
      if (!state.scene) return;
      const layers = state.scene.layers.map((layer) => ({
        label: `${styleOf(layer).mark}${layer.name}`,
        style: styleOf(layer),
        hidden: !isLayerShown(layer) || !isOn(layer, state.compare),
        span: layer.span,
        seen: seenSpans({ tracks: layer.tracks.filter(isTrackShown) }, length()),
        curve: layer.curve,
      }));
      timeline.show({ duration: length(), layers, sound: state.bare ? undefined : state.sound });
    }

    function chip(mark, ...more) {
      const box = made("input", { type: "checkbox" });
      const [name, heard] = [made("bdi", { className: "name" }), made("span", { className: "heard" })];
      return made("label", { className: "chip" }, box, mark, ...more, name, heard);
    }

    function fillChip(node, name, isOn, onChange) {
      const box = node.querySelector("input");
      box.checked = isOn;
      box.onchange = () => onChange(box.checked);
      say(node.querySelector(".name"), shortened(name, 80));
      node.title = shortened(name, 400);
    }

    function fillLegend() {
      const { layers, objects } = state.scene;
      const layerChip = () => chip(made("span", { className: "mark" }), made("canvas", { className: "sample" }));
      keep(
        find(".layers"),
        layers,
        ({ name, truth }) => `${truth} ${name}`,
        layerChip,
        (node, layer) => {
          fillChip(node, layer.name, isLayerShown(layer), (on) => {
            state.uncovered.delete(layer.name); // a person's own choice stays
            toggle(state.hiddenLayers, layer.name, on);
          });
          say(node.querySelector(".mark"), styleOf(layer).mark);
          paintSample(node.querySelector(".sample"), styleOf(layer));
          say(node.querySelector(".heard"), isOn(layer, state.compare) ? "" : " not compared");
        },
      );
      keep(
        find(".objects"),
        objects,
        (_, place) => place,
        () => chip(made("kbd")),
        (node, { name, audible }, place) => {
          fillChip(node, name, !state.hiddenObjects.has(place), (on) => toggle(state.hiddenObjects, place, on));
          say(node.querySelector("kbd"), `${place + 1}`);
          say(node.querySelector(".heard"), { true: " sounds", false: " silent" }[audible] ?? "");
        },
      );
      find(".objects").hidden = !objects.length;
    }

    // The layer's line as it is drawn: annotated on the left, held on the right.
    function paintSample(canvas, style) {
      const { context, width, height } = penOn(canvas);
      context.lineWidth = style.width + 1;
      context.strokeStyle = style.colour;
      for (const [from, until, held] of [
        [0, width / 2, false],
        [width / 2 + 3, width, true],
      ]) {
        context.setLineDash(held ? style.dash : []);
        context.globalAlpha = held && !style.dash.length ? 0.5 : 1;
        context.beginPath();
        context.moveTo(from, height / 2);
        context.lineTo(until, height / 2);
        context.stroke();
      }
    }

    function toggle(set, member, on) {
      if (on) set.delete(member);
      else set.add(member);
      fillLegend();
      fillTimeline();
      draw();
    }

    function fillDetails() {
      const { scene } = state;
      say(find(".asked"), scene.question);
      fillScores(models().filter(({ scores }) => Object.keys(scores).length));
      keep(
        find(".answers"),
        scene.layers,
        ({ name, truth }) => `${truth} ${name}`,
        makeAnswer,
        (node, layer) => {
          say(node.querySelector(".name"), shortened(layer.name, 80));
          say(node.querySelector("pre"), layer.text);
          keep(
            node.querySelector("ul"),
            layer.problems,
            (_, place) => place,
            () => made("li"),
            say,
          );
          const { length: count } = layer.problems;
          say(node.querySelector(".count"), count ? `${count} ${count === 1 ? "problem" : "problems"} with its form` : "");
        },
      );
    }

    function makeAnswer() {
      const summary = made(
        "summary",
        {},
        made("span", { textContent: "Answer of " }),
        made("bdi", { className: "name" }),
        made("span", { className: "count" }),
      );
      return made("details", {}, summary, made("ul", { className: "problems" }), made("pre", { tabIndex: 0 }));
    }

    function fillScores(layers) {
      const names = [...new Set(layers.flatMap(({ scores }) => Object.keys(scores)))];
      const head = made(
        "tr",
        {},
        made("th", { scope: "col", textContent: "model" }),
        ...names.map((name) => made("th", { scope: "col", textContent: name })),
      );
      const rows = layers.map((layer) => {
        const name = made(
          "th",
          { scope: "row" },
          made("span", { className: "mark", textContent: styleOf(layer).mark }),
          made("bdi", { textContent: shortened(layer.name, 80) }),
        );
        return made(
          "tr",
          {},
          name,
          ...names.map((score) => made("td", { textContent: layer.scores[score]?.toFixed(3) ?? "—" })),
        );
      });
      find("thead").replaceChildren(head);
      find("tbody").replaceChildren(...rows);
      find(".scores").hidden = !rows.length;
    }

    // --- comparing ---

    // Two layers of the scene: those compared before, else the first two models, else the truth and the only model.
    function pairOf() {
      const names = state.scene.layers.map(({ name }) => name);
      if (state.lastPair?.every((name) => names.includes(name))) return state.lastPair;
      const others = models().map(({ name }) => name);
      return others.length > 1 ? others.slice(0, 2) : names.slice(0, 2);
    }

    function stopComparing() {
      state.compare = null;
      for (const name of state.uncovered) state.hiddenLayers.add(name);
      state.uncovered.clear();
    }

    function compare(pair) {
      if (!pair) stopComparing();
      for (const name of pair ?? []) if (state.hiddenLayers.delete(name)) state.uncovered.add(name);
      state.compare = pair;
      state.lastPair = pair ?? state.lastPair;
      fillLegend();
      fillTimeline();
      fillCompare();
      draw();
    }

    function toggleCompare() {
      if (!state.scene || state.scene.layers.length < 2) return;
      compare(state.compare ? null : pairOf());
    }

    function fillCompare() {
      const { layers } = state.scene ?? { layers: [] };
      const button = find("[data-act=compare]");
      button.disabled = layers.length < 2;
      button.setAttribute("aria-pressed", String(Boolean(state.compare)));
      root.classList.toggle("comparing", Boolean(state.compare));
      panels[1].node.hidden = !state.compare;
      panels.forEach(({ name }, side) => {
        const select = find(`[data-side="${side}"]`);
        name.hidden = select.hidden = !state.compare;
        if (!state.compare) return;
        const own = layers.find((layer) => layer.name === state.compare[side]);
        keep(
          select,
          layers,
          (layer) => layer.name,
          () => made("option"),
          (option, layer) => {
            option.value = layer.name;
            say(option, shortened(layer.name, 60));
          },
        );
        select.value = own.name;
        name.style.setProperty("--own", styleOf(own).colour);
        keep(
          name,
          [styleOf(own).mark.trim(), shortened(own.name, 60)],
          (_, place) => place,
          (_, place) => made("bdi", { className: ["mark", "name"][place] }),
          say,
        );
      });
    }

    // --- the picture and the boxes over it ---

    function onFilmTime(time) {
      if (state.bare || !state.scene) return;
      if (!state.up) note("");
      state.up = true;
      onTime(time);
    }

    function onTime(time) {
      draw();
      if (clock().paused() || Math.floor(time) !== Math.floor(state.spoken ?? -1)) speak(time);
    }

    function draw() {
      if (!state.scene) return;
      const { time } = clock();
      state.drawn = [];
      panels.slice(0, state.compare ? 2 : 1).forEach((panel, side) => drawPanel(panel, side, time));
      timeline.place(time);
      say(find(".clock"), `${time.toFixed(2)} / ${length().toFixed(2)} s`);
    }

    function drawPanel({ boxes }, side, time) {
      const frame = frameSize(state.scene, video);
      const picture = state.bare || !video.videoWidth ? frame : [video.videoWidth, video.videoHeight];
      const stage = penOn(boxes);
      const place = placeOf(picture, stage);
      if (side) drawMirror(picture);
      if (state.bare) paintFrame(stage.context, place);
      if (!state.up) return;
      const found = layersOf(side).flatMap((layer) => boxesOn(layer, side, time, frame, place));
      const taken = [];
      paintLines(stage.context, found);
      for (const one of found) paintLabel(stage.context, one, stage, taken);
      state.drawn.push(...found);
    }

    function boxesOn(layer, side, time, frame, { left, top, width, height }) {
      const [across, down] = [width / frame[0], height / frame[1]];
      return layer.tracks.filter(isTrackShown).flatMap(({ object, name, frames }) => {
        const { age, boxes } = boxesAt(frames, time);
        return boxes.map((box) => {
          const [x1, y1, x2, y2] = box;
          const place = [left + x1 * across, top + y1 * down, (x2 - x1) * across, (y2 - y1) * down];
          return {
            side,
            layer: layer.name,
            truth: layer.truth,
            object,
            name,
            box,
            place,
            held: age > EXACT,
            time,
            style: styleOf(layer),
          };
        });
      });
    }

    // The decoded frame that the film shows, so that both panels are on one clock.
    function drawMirror(picture) {
      const { context, width, height } = penOn(mirror);
      if (state.bare || !state.up) return;
      const place = placeOf(picture, { width, height });
      context.drawImage(video, place.left, place.top, place.width, place.height);
    }

    function paintFrame(context, { left, top, width, height }) {
      context.strokeStyle = "rgba(255, 255, 255, 0.35)";
      context.lineWidth = 1;
      context.setLineDash([]);
      context.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1);
    }

    // For those who hear the page: what is on the stage, when it stands still.
    function speak(time) {
      state.spoken = time;
      timeline.speak(time);
      clearTimeout(state.speaking);
      state.speaking = setTimeout(() => {
        if (!state.scene || !clock().paused()) return;
        const seen = [...new Set(state.drawn.map(({ name, layer }) => `${shortened(name, 60)} (${shortened(layer, 60)})`))];
        say(find(".spoken"), `at ${clock().time.toFixed(2)} s: ${seen.join(", ") || "no boxes"}`);
      }, LATE);
    }

    // --- moving ---

    // `aside`: how much further into its frame the film is put, so that rounding cannot show the frame before.
    function seek(time, aside = 0) {
      if (!state.scene) return;
      clock().seek(Math.max(0, Math.min(length() || Infinity, Number.isFinite(time) ? time : 0)), aside);
    }

    const aim = () => clock().target ?? clock().time;

    // Frames may be of any length: a step waits for their times while they are asked for.
    async function stepFrame(step) {
      clock().pause();
      const { turn } = state;
      await state.asked;
      if (turn === state.turn) seekFrame(step);
    }

    function seekFrame(step) {
      const times = state.bare ? null : film.frames;
      if (!times?.length) return seek(aim() + step * FRAME);
      const here = times.findLastIndex((time) => time <= aim() + NUDGE);
      const next = Math.max(0, Math.min(times.length - 1, here + step));
      const gap = (times[next + 1] ?? Infinity) - times[next];
      return seek(times[next], Math.max(0, Math.min(gap / 2, 0.01) - NUDGE));
    }

    function stepAnnotated(step) {
      const times = annotatedTimes(state.scene.layers.filter(isLayerShown), isTrackShown);
      const slack = clock().paused() ? 2 * NUDGE : 0.3; // while it plays, "previous" is not where it has just been
      const next =
        step > 0 ? times.find((time) => time > aim() + 2 * NUDGE) : times.findLast((time) => time < aim() - slack);
      if (next !== undefined) seek(next);
    }

    function togglePlay() {
      if (clock().paused()) clock().play();
      else clock().pause();
    }

    function onPlaying() {
      const paused = clock().paused();
      root.classList.toggle("playing", !paused);
      find(".play").setAttribute("aria-label", paused ? "Play" : "Pause");
      if (paused && state.scene) speak(clock().time);
    }

    function toggleMute() {
      if (state.bare) return;
      video.muted = !video.muted;
      find("[data-act=mute]").setAttribute("aria-pressed", String(video.muted));
    }

    function toggleFullscreen() {
      if (document.fullscreenElement) document.exitFullscreen();
      else
        find(".screen")
          .requestFullscreen?.()
          .catch(() => {}); // of the wrapper: the video alone would leave its boxes behind
    }

    function toggleObject(place) {
      if (place < state.scene.objects.length) toggle(state.hiddenObjects, place, state.hiddenObjects.has(place));
    }

    // --- hands ---

    const ACTS = {
      previous: () => stepAnnotated(-1),
      next: () => stepAnnotated(1),
      back: () => stepFrame(-1),
      forward: () => stepFrame(1),
      play: togglePlay,
      mute: toggleMute,
      compare: toggleCompare,
      fullscreen: toggleFullscreen,
    };
    const KEYS = { " ": togglePlay, f: toggleFullscreen, m: toggleMute, c: toggleCompare };

    function actOf(event) {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step)
        return event.target.matches("input[type=range], input[type=radio]")
          ? null
          : () => (event.shiftKey ? stepAnnotated(step) : stepFrame(step));
      if (event.key === " " && event.target.closest("button, summary, input, a, [role=button]")) return null; // the key presses them
      if (/^[1-9]$/.test(event.key)) return () => toggleObject(+event.key - 1);
      return KEYS[event.key] ?? KEYS[event.key.toLowerCase()] ?? null;
    }

    document.addEventListener("keydown", (event) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !state.scene) return;
      if (!root.isConnected || !root.offsetParent || isTyping(event)) return;
      const act = actOf(event);
      if (!act) return;
      event.preventDefault();
      if (!event.repeat || event.key.startsWith("Arrow")) act();
    });

    root.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button && state.scene) ACTS[button.dataset.act]?.();
      if (event.detail && event.target.closest("button, .chip")) document.activeElement?.blur?.(); // or the space key would press it again
    });
    for (const stage of root.querySelectorAll(".stage")) stage.addEventListener("click", () => state.scene && togglePlay());
    find(".volume").addEventListener("input", ({ target }) => {
      video.volume = target.value;
      if (video.muted && video.volume) toggleMute();
    });
    find(".speed").addEventListener("change", ({ target }) => {
      for (const one of [film, bare]) one.speed(+target.value);
    });
    find(".compare").addEventListener("change", () => {
      compare([0, 1].map((side) => find(`[data-side="${side}"]`).value));
    });

    // "emptied": with another film the event of the pause before it never comes.
    for (const kind of ["play", "pause", "ended", "emptied"]) video.addEventListener(kind, onPlaying);
    video.addEventListener("error", askPlayable);
    video.addEventListener("loadedmetadata", () => (video.videoWidth ? draw() : askPlayable())); // sound alone: an unknown codec
    for (const { boxes } of panels) new ResizeObserver(draw).observe(boxes);
    new ResizeObserver(() => {
      if (!root.offsetParent) clock().pause(); // behind another tab nobody sees it
      else if (state.scene) fillLegend(); // what was painted there has no size
    }).observe(root);
    const recolour = () => state.scene && timeline.draw();
    new MutationObserver(recolour).observe(document.body, { attributeFilter: ["class"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => requestAnimationFrame(recolour));
    find(".fullscreen").hidden = !document.fullscreenEnabled;

    // --- what a link carries ---

    function stateNow() {
      const { layers, objects } = state.scene ?? { layers: [], objects: [] };
      return {
        time: aim(),
        layers: layers.filter(isLayerShown).map(({ name }) => name),
        objects: [...objects.keys()].filter((place) => !state.hiddenObjects.has(place)),
        compare: state.compare && [...state.compare],
      };
    }

    // What is missing or makes no sense for this scene stays as it is: anybody can write a link.
    function restore(wanted) {
      if (!state.scene || !wanted) return;
      const { layers, objects } = state.scene;
      const names = layers.map(({ name }) => name);
      const hide = (set, all, shown) => all.forEach((one) => (shown.includes(one) ? set.delete(one) : set.add(one)));
      const isPair =
        Array.isArray(wanted.compare) && wanted.compare.length === 2 && wanted.compare.every((name) => names.includes(name));
      compare(isPair ? [...wanted.compare] : null);
      if (Array.isArray(wanted.layers)) hide(state.hiddenLayers, names, wanted.layers);
      if (Array.isArray(wanted.objects)) hide(state.hiddenObjects, [...objects.keys()], wanted.objects);
      fillLegend();
      fillTimeline();
      draw();
      if (Number.isFinite(wanted.time)) seek(wanted.time);
    }

    clear("");
    const time = () => (state.scene ? aim() : 0);
    return { show, update, clear, time, seek: (at) => seek(at), state: stateNow, restore, drawn: () => state.drawn };
  }

  return { makePlayer, isTyping };
})();
