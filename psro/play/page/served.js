// The match is played by `psro play`: what is clicked is sent there, and its answer is shown.
"use strict";

const gone = "The server does not answer; is psro play still running? Reload the page to try again.";

// What the match is now, after `body` was sent to `path`, or nothing was; and a sentence if that was refused.
async function answer(path, body) {
  let note = "", said = null;
  try {
    let reply = await fetch(path, body && {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!reply.ok) {
      note = await reply.text();
      reply = await fetch("/api/view");
    }
    said = await reply.json();
  } catch {
    note = gone;
  }
  return { said, note };
}
