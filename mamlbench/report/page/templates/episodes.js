// Sample episodes: one at a time, with buttons to page through them.

function enhanceEpisodes(element) {
  const episodes = [...element.querySelectorAll(".episode")];
  if (episodes.length < 2) return;
  const name = `episode.${element.id}`;
  const present = () => Math.min(Math.max(Number(view.get(name)) || 1, 1), episodes.length);
  const turn = (by) => setView(name, String((present() - 1 + by + episodes.length) % episodes.length + 1));
  const place = make("output");
  const previous = button("‹ Previous", "Previous episode", () => turn(-1));
  const next = button("Next ›", "Next episode", () => turn(1));
  element.before(make("div", {class: "tools pager"}, previous, place, next));
  element.classList.add("paged");
  onView(() => {
    const shown = present();
    episodes.forEach((episode, index) => episode.classList.toggle("off", index + 1 !== shown));
    place.textContent = `${shown} of ${episodes.length}`;
  });
}

document.querySelectorAll(".episodes").forEach(enhanceEpisodes);
