// Keeps the page of a back-test up to date while it runs, and loads it anew when it has ended.
// Without this script the page loads itself anew every few seconds.
const bar = document.querySelector("progress[data-ask]");
if (bar) follow();

async function follow() {
  for (;;) {
    await new Promise((done) => setTimeout(done, 1000));
    let answer;
    try {
      answer = await fetch(bar.dataset.ask, { redirect: "manual" });
    } catch {
      continue; // The server may be back at the next look.
    }
    if (!answer.ok) return location.reload();
    const now = await answer.json();
    if (!now.running) return location.reload();
    document.getElementById("words").textContent = now.words;
    if (now.total > 0) {
      bar.max = now.total;
      bar.value = now.seen;
    }
  }
}
