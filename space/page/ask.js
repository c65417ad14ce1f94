// The page of questions about an upload: what the server says of it while a model answers, and the player that shows it.
// `makePlayer` is in player.js, which stands before this script; what a model or a visitor wrote goes into textContent.

const find = (selector) => element.querySelector(selector);

let told = null; // what the server said last
let token = null; // of the video on screen

const player = makePlayer(find(".player"), {
  media: async () => {
    const media = await server.media_for({ token });
    return !media || media.error ? { frame_times: null, sound: null } : media;
  },
  playable: (_, onProgress) => {
    const own = token;
    return playableCopy(() => server.playable_for({ token: own }), onProgress, (problem) => own === token && say(problem, false, false));
  },
});

function say(text, isProblem, isRunning) {
  find(".status").textContent = text;
  find(".said").classList.toggle("problem", isProblem);
  find(".turning").hidden = !isRunning;
}

// Gradio nests the styles of a component, where there can be no @keyframes.
if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
  find(".turning").animate({ transform: ["rotate(0deg)", "rotate(360deg)"] }, { duration: 1000, iterations: Infinity });
}

function showScene(scene) {
  const another = told.token !== token;
  token = told.token;
  find(".answered").hidden = !scene;
  if (!scene) player.clear("");
  else if (another) player.show(scene, { time: 0 });
  else player.update(scene);
}

function show() {
  if (!props.value) return;
  told = JSON.parse(props.value);
  say(told.status, told.problem, told.running);
  showScene(told.scene);
  find(".json").hidden = !told.answer;
}

find(".json").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(told.answer, null, 2)], { type: "application/json" }));
  link.download = "answer.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // a browser may take its time to read it
});

watch("value", show);
show();
