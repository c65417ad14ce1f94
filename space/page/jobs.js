// Asking the server: whether it answered, and jobs that take it a while, which are asked about until they are done.

const POLL = 400; // milliseconds between two looks

// Gradio says nothing of a request that failed: it resolves to undefined.
function answered(found) {
  if (!found) throw new Error("The server did not answer; try again");
  return found;
}

// The address of what a job made. `look` asks the server how far it is, `onProgress` is told the share that is done.
async function finished(look, onProgress) {
  for (;;) {
    const job = answered(await look());
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
