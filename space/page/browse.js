// The page of questions: a list that is filtered and sorted here, and the player that shows the chosen one.
// `makePlayer` is in player.js, which stands before this script; what comes from the data set goes into textContent.

const find = (selector) => element.querySelector(selector);
const ROW = 64; // pixels, as in browse.css
const SPARE = 8; // rows drawn beyond the visible ones
const TASK_NAMES = { temporal: "temporal", spatial: "spatial", spatio_temporal: "spatio-temporal" };
const OVERALL = "overall"; // the mean of tIoU and vIoU, so far as a question has them
const ANY = "any model"; // the worst of all models
const SOURCE_ORDER = "as in the data set";
const NARROW = matchMedia("(max-width: 860px)"); // as in browse.css: the list stands above the question

const player = makePlayer(find(".player"), {
  media: (scene) => asked("media_for", scene),
  playable: (scene, onProgress) =>
    playableCopy(() => asked("playable_for", scene), onProgress, (problem) => page.scene === scene && say(problem, true)),
});
const page = {
  index: null, // what there is, in columns
  shown: [], // places of the questions that pass the filters, in their order
  chosen: -1, // the place of the question on screen
  wanted: 0, // counts requests: the answer to an earlier one is not shown
  scene: null,
  drawing: false, // an annotated video is made
};

// --- choosing a question ---

const asked = (name, scene) => server[name]({ question_id: scene.question_id });

function say(text, isError = false) {
  find(".message").textContent = text;
  find(".message").classList.toggle("error", isError);
}

// `state`: what a link says to show; its address stays, so that a reload brings it back. `message`: to be read beside it.
async function choose(place, { time = null, state = null, message = "" } = {}) {
  if (place === undefined || place < 0) return;
  const turn = ++page.wanted;
  page.chosen = place;
  find(".address").hidden = true; // it is another question's
  showPlace();
  try {
    const scene = answered(await server.scene_of({ question_id: page.index.question_id[place] }));
    if (turn !== page.wanted) return;
    if (scene.error) throw new Error(scene.error);
    showScene(place, scene, { time });
    player.restore(state);
    say(message);
    if (!state) rememberAddress();
  } catch (error) {
    if (turn === page.wanted) showFailure(place, `The question cannot be shown: ${error.message || error}`);
  }
}

function showScene(place, scene, options) {
  page.scene = scene;
  showHeader(place);
  showButtons();
  player.show(scene, options);
}

function showFailure(place, text) {
  page.scene = null;
  showHeader(place);
  showButtons();
  player.clear(text);
  say(text, true);
}

function showHeader(place) {
  const { index } = page;
  const kinds = [TASK_NAMES[index.task[place]], index.question_type[place].replaceAll("_", " "), ...index.events[place]];
  find(".chips").replaceChildren(...kinds.filter(Boolean).map((kind) => made("span", "chip", kind)));
  find(".id").textContent = index.question_id[place];
  find(".heading").textContent = index.question[place];
}

function showButtons() {
  for (const selector of [".link", ".json"]) find(selector).disabled = !page.scene;
  find(".film").disabled = !page.scene?.video || page.drawing;
}

// --- scores and filters ---

const value = (selector) => find(selector).value;

function scoreOf(model, place) {
  const columns = page.index.scores[model];
  const name = value(".score");
  if (name !== OVERALL) return columns[name]?.[place] ?? null;
  const both = ["tIoU", "vIoU"].map((one) => columns[one]?.[place]).filter((one) => one !== null && one !== undefined);
  return both.length ? both.reduce((sum, one) => sum + one, 0) / both.length : null;
}

// The score by which questions are filtered and sorted: of one model, or the lowest of all.
function rank(place) {
  const model = page.index.models.indexOf(value(".model"));
  const models = model < 0 ? page.index.models.keys() : [model];
  const scores = [...models].map((one) => scoreOf(one, place)).filter((one) => one !== null);
  return scores.length ? Math.min(...scores) : null;
}

function spread(place) {
  const scores = [...page.index.models.keys()].map((one) => scoreOf(one, place)).filter((one) => one !== null);
  return scores.length > 1 ? Math.max(...scores) - Math.min(...scores) : null;
}

const ORDERS = {
  "worst first": (first, second) => first.rank - second.rank,
  "best first": (first, second) => second.rank - first.rank,
  "models differ most": (first, second) => second.spread - first.spread,
};

function passes(place, words) {
  const { index } = page;
  const task = value(".task"), event = value(".event"), most = +value(".most");
  if (task && index.task[place] !== task) return false;
  if (event && !index.events[place].includes(event)) return false;
  if (find(".with-video").checked && !index.video[place]) return false;
  if (most < 1 && !((rank(place) ?? Infinity) <= most + 1e-9)) return false;
  return words.every((word) => index.haystack[place].includes(word));
}

function filterList() {
  const words = value(".words").toLowerCase().split(/\s+/).filter(Boolean);
  const places = page.index.question_id.map((_, place) => place).filter((place) => passes(place, words));
  page.shown = sorted(places);
  const all = page.index.question_id.length;
  find(".count").textContent = places.length === all ? `${all} questions` : `${places.length} of ${all} questions`;
  find(".none").hidden = places.length > 0;
  find(".most-shown").textContent = (+value(".most")).toFixed(2);
  find(".list").scrollTop = 0;
  showRows();
  showPlace();
}

// Questions without the score stand behind the others.
function sorted(places) {
  const order = ORDERS[value(".order")];
  if (!order) return places;
  const key = value(".order") === "models differ most" ? "spread" : "rank";
  const rows = places.map((place) => ({ place, rank: rank(place), spread: spread(place) }));
  const [having, lacking] = [rows.filter((row) => row[key] !== null), rows.filter((row) => row[key] === null)];
  return [...having.sort(order), ...lacking].map((row) => row.place);
}

// --- the list ---

function made(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

// Only the rows in sight exist, so that thousands of questions cost no more than ten.
function showRows() {
  const list = find(".list");
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE);
  const last = Math.min(page.shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE);
  find(".rows").style.height = `${page.shown.length * ROW}px`;
  find(".rows").replaceChildren(...page.shown.slice(first, last).map((place, offset) => row(place, first + offset)));
}

function row(place, position) {
  const { index } = page;
  const node = made("div", "row", "");
  const told = made("div", "told", "");
  const score = rank(place);
  told.append(made("span", "", TASK_NAMES[index.task[place]]), made("span", "", index.events[place].join(", ")));
  told.append(made("span", "own-score", score === null ? "" : score.toFixed(2)));
  node.append(made("div", "words-of", index.question[place]), told);
  node.id = `question-${place}`;
  node.style.top = `${position * ROW}px`;
  node.dataset.place = place;
  const about = { role: "option", "aria-selected": place === page.chosen, "aria-setsize": page.shown.length, "aria-posinset": position + 1 };
  for (const [name, own] of Object.entries(about)) node.setAttribute(name, own);
  return node;
}

function showPlace() {
  const position = page.shown.indexOf(page.chosen);
  find(".place").textContent = position < 0 ? `— / ${page.shown.length}` : `${position + 1} / ${page.shown.length}`;
  find(".previous").disabled = position <= 0;
  find(".next").disabled = position >= page.shown.length - 1;
  for (const node of find(".rows").children) node.setAttribute("aria-selected", +node.dataset.place === page.chosen);
  if (position < 0) find(".list").removeAttribute("aria-activedescendant");
  else find(".list").setAttribute("aria-activedescendant", `question-${page.chosen}`);
}

function bringIntoView(position) {
  const list = find(".list");
  if (position * ROW < list.scrollTop) list.scrollTop = position * ROW;
  else if ((position + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (position + 1) * ROW - list.clientHeight;
  showRows();
}

function goTo(position) {
  if (!(position in page.shown)) return;
  bringIntoView(position);
  choose(page.shown[position]);
}

const step = (by) => goTo(page.shown.indexOf(page.chosen) + by);

// --- links ---

function address(withTime) {
  const url = new URL(location.href);
  url.searchParams.set("question", page.scene.question_id);
  for (const name of ["t", "layers", "objects", "compare"]) url.searchParams.delete(name);
  if (!withTime) return url;
  url.searchParams.delete("__sign"); // the key of this visitor to a private Space
  const { time, layers, objects, compare } = player.state();
  url.searchParams.set("t", time.toFixed(3));
  url.searchParams.set("layers", JSON.stringify(layers));
  url.searchParams.set("objects", JSON.stringify(objects));
  if (compare) url.searchParams.set("compare", JSON.stringify(compare));
  return url;
}

// The address bar follows the question, so that a reload stays.
const rememberAddress = () => history.replaceState(history.state, "", address(false));

async function copyLink() {
  if (!page.scene) return;
  const link = address(true).href;
  try {
    await navigator.clipboard.writeText(link);
    say("The link is copied");
  } catch {
    find(".address").hidden = false; // a browser that does not let us copy lets a person do it
    find(".address").value = link;
    find(".address").select();
    say("Copy the link from the field");
  }
}

// What a link says; anybody can write one, so each part is taken only if it is what it should be.
function fromAddress() {
  const given = new URL(location.href).searchParams;
  const list = (name, kind) => {
    try {
      const found = JSON.parse(given.get(name));
      return Array.isArray(found) && found.every((one) => typeof one === kind) ? found : undefined;
    } catch {
      return undefined;
    }
  };
  const time = given.has("t") && Number.isFinite(+given.get("t")) ? +given.get("t") : null;
  const compare = list("compare", "string");
  const state = { layers: list("layers", "string"), objects: list("objects", "number"), compare: compare?.length === 2 ? compare : undefined };
  const wanted = given.get("question");
  return { wanted, place: page.index.question_id.indexOf(wanted), time, state };
}

// --- downloads ---

function save(blob, name) {
  const link = made("a", "", "");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// Without what is true of this server alone: where the file lies, and when its clock starts.
function saveJson() {
  if (!page.scene) return;
  const { video, start, ...told } = page.scene;
  save(new Blob([JSON.stringify(told, null, 1)], { type: "application/json" }), `${told.question_id}.json`);
  say("The answers are saved");
}

function setDrawing(isDrawing) {
  page.drawing = isDrawing;
  showButtons();
}

async function saveFilm() {
  if (!page.scene) return;
  const { layers, objects } = player.state();
  const { question_id } = page.scene;
  setDrawing(true);
  try {
    const tell = (done) => say(`Drawing the boxes into the video of ${question_id}: ${Math.round(100 * done)}%`);
    tell(0);
    const url = await finished(() => server.annotated_for({ question_id, layers, objects }), tell);
    const film = answered(await fetch(url).catch(() => null));
    if (!film.ok) throw new Error(`The annotated video of ${question_id} cannot be fetched (${film.status}); try again`);
    save(await film.blob(), `${question_id}.mp4`); // the server's own name of it says nothing to a person
    say(`The annotated video of ${question_id} is ready`);
  } catch (error) {
    say(error.message || String(error), true);
  } finally {
    setDrawing(false);
  }
}

// --- hands ---

find(".list").addEventListener("scroll", showRows);
find(".list").addEventListener("click", (event) => {
  const row = event.target.closest(".row");
  if (!row) return;
  choose(+row.dataset.place);
  if (NARROW.matches) find(".view").scrollIntoView();
});
find(".list").addEventListener("keydown", (event) => {
  const here = page.shown.indexOf(page.chosen);
  const goals = { ArrowUp: here - 1, ArrowDown: here + 1, Home: 0, End: page.shown.length - 1 };
  if (!(event.key in goals)) return;
  event.preventDefault();
  goTo(goals[event.key]);
});
for (const selector of [".task", ".event", ".order", ".score", ".model", ".with-video"]) find(selector).addEventListener("change", filterList);
for (const selector of [".words", ".most"]) find(selector).addEventListener("input", filterList);
find(".previous").addEventListener("click", () => step(-1));
find(".next").addEventListener("click", () => step(1));
find(".link").addEventListener("click", copyLink);
find(".film").addEventListener("click", saveFilm);
find(".json").addEventListener("click", saveJson);
find(".reset").addEventListener("click", () => {
  for (const node of find(".filters").querySelectorAll("input, select")) {
    if (node.type === "checkbox") node.checked = false;
    else if (!node.matches(".order, .score, .model")) node.value = node.matches(".most") ? 1 : "";
  }
  filterList();
});
find(".browse").addEventListener("click", (event) => {
  if (event.detail) event.target.closest(".view button, .reset")?.blur(); // or the space key would press it again
});
new ResizeObserver(showRows).observe(find(".list"));

document.addEventListener("keydown", (event) => {
  if (!element.isConnected || !element.offsetParent || isTyping(event)) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const by = { n: 1, p: -1 }[event.key];
  if (by) step(by);
});

// --- the start ---

function fill(selector, names, values = names) {
  find(selector).append(...names.map((name, place) => Object.assign(made("option", "", name), { value: values[place] })));
}

function fillFilters() {
  const { index } = page;
  const present = Object.keys(TASK_NAMES).filter((task) => index.task.includes(task));
  fill(".task", present.map((task) => TASK_NAMES[task]), present);
  fill(".event", [...new Set(index.events.flat())].sort());
  fill(".order", index.models.length ? [...Object.keys(ORDERS).slice(0, index.models.length > 1 ? 3 : 2), SOURCE_ORDER] : [SOURCE_ORDER]);
  fill(".score", [OVERALL, ...new Set(index.scores.flatMap(Object.keys))]);
  fill(".model", index.models.length > 1 ? [ANY, ...index.models] : index.models);
  for (const selector of [".score", ".model", ".most"]) find(selector).closest("label").hidden = !index.models.length;
}

// What is known of the data beside its questions.
function fillNotes() {
  find(".notes").hidden = !page.index.notes.length;
  find(".notes").append(...page.index.notes.map((note) => made("li", "", note)));
}

async function load() {
  const index = answered(await server.index_of({}));
  if (index.error) throw new Error(index.error);
  const texts = (place) => [index.question[place], index.question_id[place], ...index.events[place], ...index.objects[place]];
  page.index = { ...index, haystack: index.question_id.map((_, place) => texts(place).join(" ").toLowerCase()) };
}

async function start() {
  try {
    await load();
  } catch (error) {
    player.clear(error.message || String(error));
    return say(error.message || String(error), true);
  }
  find(".fields").disabled = false;
  fillFilters();
  fillNotes();
  if (NARROW.matches) find(".filters").open = false;
  filterList();
  const { wanted, place, time, state } = fromAddress();
  const message = wanted === null || place >= 0 ? "" : `There is no question ${wanted.slice(0, 80)} here: this is another one`;
  if (place < 0) return choose(page.shown[0], { message });
  bringIntoView(Math.max(0, page.shown.indexOf(place)));
  return choose(place, { time, state });
}

start();
