// A page of `mamlbench serve`: asks now and then whether there is something new, and then shows it, in the same view.

const EVERY = 2000; // milliseconds
const shownVersion = document.body.dataset.version;
const state = make("p", {class: "lead live", role: "status"}, "Live");
document.querySelector("header").append(state);

function isBusy() {
  return document.activeElement?.matches("input[type=search], select, .plot") || !tip.hidden;
}

async function look() {
  try {
    const version = await (await fetch("version", {cache: "no-store"})).text();
    const changed = version !== shownVersion;
    state.textContent = changed ? "Live: there is something new" : "Live: up to date";
    if (changed && !isBusy()) location.reload(); // the address keeps the view, the browser the place
  } catch {
    state.textContent = "Not live: 'mamlbench serve' has ended";
  }
  setTimeout(look, EVERY);
}

setTimeout(look, EVERY);
