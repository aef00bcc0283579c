// Loads the gallery again when a file was saved, and when something else is chosen.
const form = document.querySelector("form");
form.addEventListener("change", () => form.submit());
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
async function follow() {
  const seen = document.body.dataset.edition;
  for (;;) {
    try {
      const answer = await fetch(`/changed?${seen}`);
      if (answer.ok && (await answer.text()) !== seen) return location.reload();
    } catch {
      await pause(1);
    }
  }
}
follow();
