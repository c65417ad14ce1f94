// What a page around the player does, for tests: it gives the hooks and hands the player to the test.
window.told = null;
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
// `hidden`: names of the layers to hide, whatever was hidden before; without it they stay as they are.
window.show = (scene, { time = null, hidden = null } = {}) => {
  player.show(scene, { time });
  const names = scene.layers.map(({ name }) => name);
  if (hidden) player.restore({ layers: names.filter((name) => !hidden.includes(name)), compare: player.state().compare });
};
