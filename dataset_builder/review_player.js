// The script of the review page. Gradio runs it once, with `element` (the page's root), `props` and `server` at hand.
// Everything that comes from the data set goes into textContent or onto a canvas, never into HTML.

const find = (selector) => element.querySelector(selector);
const video = find("video");
const boxes = find(".boxes");
const strip = find(".strip");
const COLOURS = ["#ffb000", "#4cc9f0", "#ff6fb5", "#7ee081", "#c59bff", "#ff8552", "#f4f06c", "#9ad1c9"];
const HOLD = 1.0; // seconds; boxes stand on a grid of one second
const EXACT = 0.05; // seconds; about one frame

let view = null; // what the server last sent
let busy = false; // a request is on its way
let now = 0; // the time on screen
const drafts = new Map(); // comments typed and not stored yet

// --- talking to the server ---

async function ask(name, request) {
  if (busy) return;
  busy = true;
  keepDraft();
  try {
    const answer = await server[name](request);
    if (answer.error) say(answer.error, true);
    else show({ ...answer, rater: request.rater }, name);
  } catch (error) {
    say(`The server did not answer; nothing was stored by this step (${error.message || error})`, true);
  } finally {
    busy = false;
  }
}

const rater = () => find(".rater").value.trim();
const draftKey = () => JSON.stringify([view.rater, view.question_id]);

function keepDraft() {
  if (view && find(".comment").value !== view.comment) drafts.set(draftKey(), find(".comment").value);
}

function rate(score) {
  if (!view || busy) return;
  if (view.rater !== rater()) return ask("open_review", { rater: rater() });
  const comment = find(".comment").value;
  ask("store_rating", { rater: rater(), question_id: view.question_id, score, comment });
}

function move(step) {
  const position = view ? view.position + step : -1;
  if (view && position >= 0 && position < view.total) ask("show_question", { rater: rater(), position });
}

// --- showing a question ---

function made(tag, text, style = {}) {
  const node = document.createElement(tag);
  node.textContent = text;
  Object.assign(node.style, style);
  return node;
}

const colour = (index) => COLOURS[index % COLOURS.length];
const colourOf = (name) => {
  const index = view.objects.findIndex((one) => one.name === name);
  return index < 0 ? "#888888" : colour(index);
};
const seconds = (time) => `${+time.toFixed(3)} s`;

function say(text, isError) {
  find(".message").textContent = text;
  find(".message").classList.toggle("error", isError);
}

function show(next, cause) {
  const before = view;
  if (cause === "store_rating") drafts.delete(draftKey());
  view = next;
  showProgress();
  showText();
  showScore();
  showVideo(before);
  if (view.rated === view.total) say("All questions are rated. A new score replaces the earlier one.", false);
  else say(cause === "store_rating" ? `Stored: ${before.question_id}` : "", false);
}

function showProgress() {
  find("progress").max = view.total;
  find("progress").value = view.rated;
  find(".rated").textContent = `${view.rated} of ${view.total} rated`;
  find(".place").textContent = `${view.position + 1} / ${view.total}`;
  find("[data-step='-1']").disabled = view.position === 0;
  find("[data-step='1']").disabled = view.position === view.total - 1;
}

function showText() {
  const { answer } = view;
  find(".type").textContent = view.question_type.replaceAll("_", " ");
  find(".id").textContent = view.question_id;
  find(".question").textContent = view.question;
  find(".span").textContent = answer.span ? `from ${seconds(answer.span[0])} to ${seconds(answer.span[1])}` : "";
  find(".names").replaceChildren(...answer.names.map((name) => made("li", name, { borderColor: colourOf(name) })));
  find(".problems").textContent = answer.problems.join("; ");
  find(".problems").hidden = !answer.problems.length;
  find(".table").hidden = !answer.rows.length;
  find("tbody").replaceChildren(...answer.rows.map(tableRow));
  find(".table").scrollTop = 0;
  find(".raw").textContent = view.answer_text;
}

function tableRow(row) {
  const node = document.createElement("tr");
  const box = row.box ? row.box.map((one) => +one.toFixed(1)).join(", ") : "out of sight";
  node.append(made("td", seconds(row.time)), made("td", view.answer.names[row.track]), made("td", box));
  node.dataset.time = row.time;
  return node;
}

function showScore() {
  for (const button of element.querySelectorAll("[data-score]")) {
    button.classList.toggle("chosen", +button.dataset.score === view.score);
  }
  find(".comment").value = drafts.get(draftKey()) ?? view.comment;
}

function showVideo(before) {
  if (before && before.question_id === view.question_id) return draw();
  video.pause();
  const note = view.video ? "" : `There is no video ${view.video_id} in the folder. The question can still be rated.`;
  showNote(note);
  if (before?.video !== view.video) setSource();
  strip.style.height = `${22 + 9 * Math.min(view.objects.length, 8)}px`;
  now = 0;
  goTo(view.span ? view.span[0] : 0);
  draw();
}

function setSource() {
  if (view.video) video.src = view.video;
  else video.removeAttribute("src");
  video.load(); // or the picture of the video before would stay
}

function showNote(text) {
  find(".note").textContent = text;
  find(".note").hidden = !text;
}

// --- the film ---

const length = () => view.duration || video.duration || 1;
// A little later: a frame's time in the file may lie a rounding error after the annotated one.
const goTo = (time) => { if (view.video) video.currentTime = Math.max(0, Math.min(length(), time + 0.001)); };
const togglePlay = () => { if (view?.video) video.paused ? video.play().catch(() => {}) : video.pause(); };

// The last annotated boxes at a time, unless they are older than the grid's step.
function boxesAt(frames, time) {
  const last = frames.findLast(([start]) => start <= time + 1e-3);
  return last && time - last[0] <= HOLD + 1e-3 ? { age: time - last[0], boxes: last[1] } : { age: 0, boxes: [] };
}

function pen(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return { context, width, height };
}

function draw() {
  if (!view) return;
  drawBoxes();
  drawStrip();
  find(".clock").textContent = `${now.toFixed(2)} / ${length().toFixed(2)} s`;
  markRows();
}

function markRows() {
  const rows = [...find("tbody").rows];
  const current = rows.filter(({ dataset }) => now - dataset.time > -1e-3 && now - dataset.time < HOLD);
  if (current.length && !current[0].classList.contains("now")) find(".table").scrollTop = current[0].offsetTop - 60;
  for (const row of rows) row.classList.toggle("now", current.includes(row));
}

function drawBoxes() {
  const { context, width, height } = pen(boxes);
  const frame = [view.width || video.videoWidth, view.height || video.videoHeight];
  const scale = Math.min(width / frame[0], height / frame[1]);
  const left = (width - frame[0] * scale) / 2;
  const top = (height - frame[1] * scale) / 2;
  view.objects.forEach((object, index) => {
    const { age, boxes: held } = boxesAt(object.frames, now);
    for (const [x1, y1, x2, y2] of video.videoWidth ? held : []) {
      const place = [left + x1 * scale, top + y1 * scale, (x2 - x1) * scale, (y2 - y1) * scale];
      drawBox(context, place, object.name, colour(index), age > EXACT);
    }
  });
}

function drawBox(context, [x, y, width, height], name, shade, held) {
  context.lineWidth = 2.5;
  context.strokeStyle = shade;
  context.setLineDash(held ? [7, 5] : []);
  context.strokeRect(x, y, width, height);
  context.font = "13px system-ui, sans-serif";
  const label = name.length > 40 ? `${name.slice(0, 39)}…` : name;
  const labelTop = Math.max(0, y - 18);
  context.fillStyle = shade;
  context.fillRect(x, labelTop, context.measureText(label).width + 8, 18);
  context.fillStyle = "#000";
  context.fillText(label, x + 4, labelTop + 13);
}

// The span as a band, below it a line for each object where it is seen, and the time on screen.
function drawStrip() {
  const { context, width, height } = pen(strip);
  const x = (time) => (width * time) / length();
  context.fillStyle = "rgba(128, 128, 128, 0.25)";
  context.fillRect(0, 0, width, height);
  if (view.span) {
    context.fillStyle = "rgba(42, 127, 193, 0.55)";
    context.fillRect(x(view.span[0]), 0, x(view.span[1]) - x(view.span[0]), height);
  }
  view.objects.slice(0, 8).forEach((object, index) => {
    context.fillStyle = colour(index);
    object.frames.forEach(([start, seen], place) => {
      const end = Math.min(object.frames[place + 1]?.[0] ?? Infinity, start + HOLD, length());
      if (seen.length) context.fillRect(x(start), 16 + 9 * index, x(end) - x(start), 6);
    });
  });
  context.fillStyle = "#e63946";
  context.fillRect(x(now) - 1, 0, 2, height);
}

function onFrame(_, { mediaTime }) {
  // Paused, the frame on screen is the one at currentTime, which may start a moment before it.
  now = video.paused ? Math.max(mediaTime, video.currentTime) : mediaTime;
  draw();
  video.requestVideoFrameCallback(onFrame);
}
video.requestVideoFrameCallback(onFrame);
video.addEventListener("loadedmetadata", draw);
video.addEventListener("error", () => { if (view?.video) showNote("The browser cannot play this file. The question can still be rated."); });
for (const kind of ["play", "pause"]) video.addEventListener(kind, () => { find(".play").textContent = video.paused ? "Play" : "Pause"; });
new ResizeObserver(draw).observe(find(".stage"));
new ResizeObserver(draw).observe(strip);

// --- hands ---

function atStrip(event) {
  const { left, width } = strip.getBoundingClientRect();
  if (view && (event.type === "pointerdown" || event.buttons)) goTo(((event.clientX - left) / width) * length());
}
strip.addEventListener("pointerdown", atStrip);
strip.addEventListener("pointermove", atStrip);
find(".stage").addEventListener("click", togglePlay);
find(".volume input").addEventListener("input", (event) => { video.volume = event.target.value; });
find(".rater").addEventListener("change", () => ask("open_review", { rater: rater() }));

element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const row = event.target.closest("tbody tr");
  if (row) goTo(+row.dataset.time);
  if (!button) return;
  button.blur(); // or the space key could press it again
  if (button.dataset.score) rate(+button.dataset.score);
  else if (button.dataset.step) move(+button.dataset.step);
  else if (button.matches(".play")) togglePlay();
  else if (view) goTo(view.span ? view.span[0] : 0);
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("textarea, input[type=text]");
  if (typing && event.key === "Escape") event.target.blur();
  if (typing && event.key === "Enter" && event.target.matches(".rater")) event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const acts = { ArrowLeft: () => move(-1), ArrowRight: () => move(1), " ": togglePlay };
  const act = acts[event.key] ?? (/^[1-4]$/.test(event.key) ? () => rate(+event.key) : null);
  if (!act) return;
  event.preventDefault();
  if (!event.repeat) act();
});

find(".rater").value = props.value.rater;
ask("open_review", { rater: rater() });
