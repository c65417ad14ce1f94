// Jobs of the server: what takes it a while is asked about until it is done.

const POLL = 400; // milliseconds between two looks

// The address of what a job made. `look` asks the server how far it is, `onProgress` is told the share that is done.
async function finished(look, onProgress) {
  for (;;) {
    const job = await look();
    if (job.error) throw new Error(job.error);
    if (job.url) return job.url;
    onProgress(job.done);
    await new Promise((later) => setTimeout(later, POLL));
  }
}

// A copy that browsers can play, whose clock begins with its first frame; null where there is none, and `say` tells why.
async function playableCopy(look, onProgress, say) {
  try {
    return { url: await finished(look, onProgress), start: 0 };
  } catch (error) {
    say(error.message || String(error));
    return null;
  }
}
