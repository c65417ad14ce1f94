// What tests of the player look with, in place of eyes; pixels alone count, not what the player says of itself.
// `probe.red`: the bounding box of what is red in a panel's picture. `probe.painted`: the box whose lines of a colour are
// met on a panel's canvas on the way out from the middle of another box. Both in pixels of the film.
// `probe.settled`: resolves when the frame on screen is the one of a moment of the file's clock and the player was called for it.
// `probe.runs`: where on the timeline, between two heights, a colour is; `probe.rows`: at which heights it is in a column.
(() => {
  const pixels = (source, width, height) => {
    const canvas = new OffscreenCanvas(width, height),
      context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(source, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  };
  const video = () => document.querySelector("video");
  const panel = (side) => [...document.querySelectorAll(".panel")][side];
  const size = () => [video().videoWidth, video().videoHeight];
  const letterbox = (canvas) => {
    const [width, height] = size(),
      scale = Math.min(canvas.width / width, canvas.height / height);
    return { scale, left: (canvas.width - width * scale) / 2, top: (canvas.height - height * scale) / 2 };
  };
  const bounds = (data, width, height, isIt) => {
    let found = null;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const place = 4 * (y * width + x);
        if (!isIt(data[place], data[place + 1], data[place + 2], data[place + 3])) continue;
        found ??= [x, y, x + 1, y + 1];
        found = [Math.min(found[0], x), Math.min(found[1], y), Math.max(found[2], x + 1), Math.max(found[3], y + 1)];
      }
    return found;
  };
  const isRed = (r, g, b) => r > 120 && b < 90 && g < 110;
  const near =
    (rgb, slack = 40) =>
    (r, g, b, a) =>
      a > 150 && Math.abs(r - rgb[0]) + Math.abs(g - rgb[1]) + Math.abs(b - rgb[2]) < slack;
  const inFilm = (canvas, [x1, y1, x2, y2]) => {
    const { scale, left, top } = letterbox(canvas);
    return [(x1 - left) / scale, (y1 - top) / scale, (x2 - left) / scale, (y2 - top) / scale];
  };
  const STILL = 500; // ms without another frame after which a browser has stopped beside the moment it was sent to
  const same = (one, other) => Math.abs(one - other) < 0.002; // seconds
  const onScreen = () => {
    if (video().readyState < 2) return null;
    const frame = new VideoFrame(video()),
      time = frame.timestamp / 1e6;
    frame.close();
    return time;
  };
  const note = (_, { mediaTime }) => {
    Object.assign(probe, { mediaTime, called: [mediaTime, onScreen()] }); // either may be behind the other
    video().requestVideoFrameCallback(note);
  };
  video().requestVideoFrameCallback(note);
  window.probe = {
    settled(time) {
      return new Promise((done) => {
        let before = null,
          since = 0;
        const look = (now) => {
          const shown = onScreen(),
            called = !video().seeking && this.called.some((at) => same(at, shown));
          if (!called || shown !== before) [before, since] = [shown, now];
          if (called && (same(shown, time) || now - since > STILL)) requestAnimationFrame(() => done(true));
          else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
      });
    },
    red(side, frame = null) {
      const mirror = side ? panel(side).querySelector(".mirror") : null;
      const [width, height] = side ? [mirror.width, mirror.height] : size();
      const found = bounds(pixels(side ? mirror : (frame ?? video()), width, height), width, height, isRed);
      return found && side ? inFilm(mirror, found) : found;
    },
    painted(side, rgb, line, red) {
      const canvas = panel(side).querySelector(".boxes"),
        { scale, left, top } = letterbox(canvas);
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      const [cx, cy] = [left + ((red[0] + red[2]) / 2) * scale, top + ((red[1] + red[3]) / 2) * scale].map(Math.round);
      const isIt = near(rgb),
        half = (line * devicePixelRatio) / 2;
      const way = (dx, dy) => {
        for (let step = 0; ; step++) {
          const [x, y] = [cx + step * dx, cy + step * dy];
          if (x < 0 || y < 0 || x >= canvas.width || y >= canvas.height) return NaN;
          const place = 4 * (y * canvas.width + x);
          if (isIt(data[place], data[place + 1], data[place + 2], data[place + 3]))
            return dx + dy > 0 ? (dx ? x : y) + half : (dx ? x : y) + 1 - half;
        }
      };
      return inFilm(canvas, [way(-1, 0), way(0, -1), way(1, 0), way(0, 1)]);
    },
    runs(rgb, from, until) {
      const canvas = document.querySelector(".timeline");
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data,
        isIt = near(rgb, 60);
      const at = (x) => {
        for (let y = from; y < Math.min(until, canvas.height); y++) {
          const p = 4 * (y * canvas.width + x);
          if (isIt(data[p], data[p + 1], data[p + 2], data[p + 3])) return true;
        }
        return false;
      };
      const found = [];
      for (let x = 0; x < canvas.width; x++)
        if (at(x)) {
          if (found.at(-1)?.[1] === x) found.at(-1)[1] = x + 1;
          else found.push([x, x + 1]);
        }
      return found;
    },
    rows(rgb, x) {
      const canvas = document.querySelector(".timeline"),
        isIt = near(rgb, 60);
      const data = canvas.getContext("2d").getImageData(Math.round(x), 0, 1, canvas.height).data;
      return [...Array(canvas.height).keys()].filter((y) =>
        isIt(data[4 * y], data[4 * y + 1], data[4 * y + 2], data[4 * y + 3]),
      );
    },
    seen(sides, rgb, line, frame = null) {
      return sides.map((side) => {
        const red = this.red(side, frame);
        return { red, painted: red && this.painted(side, rgb, line, red) };
      });
    },
  };
})();
