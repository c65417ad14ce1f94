// What a page around the player does, for tests: it gives the hooks and hands the player to the test.
window.told = null;
window.changes = 0;
window.copies = { wait: null };
window.times = { wait: null };
window.server = server;
window.player = makePlayer(element.querySelector(".player"), {
  media: async (scene) => {
    const found = await server.media(scene.video_id);
    await window.times.wait;
    window.told = scene.video_id;
    return found;
  },
  playable: async (scene, onProgress) => {
    onProgress(0.42);
    await window.copies.wait;
    return server.playable(scene.video_id);
  },
});
element.querySelector(".player").addEventListener("playerchange", () => {
  window.changes++;
});
