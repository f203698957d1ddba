// Rows by their key, the same in tables, legends and figures: each can be hidden or highlighted in all of them at once.

const plots = [...document.querySelectorAll(".plot")].map((element) => {
  const data = dataOf(element);
  const parts = [...element.querySelectorAll("[data-row]")];
  const svg = element.querySelector("svg");
  return {element, data, svg, parts: parts.map((part) => [part, data.keys[part.dataset.row]])};
});
const drawnKeys = new Set(plots.flatMap(({data}) => data.keys));
let pointedAt = null; // the key of the row under the pointer

function isHidden(key) {
  return view.getAll("hide").includes(key);
}

function showRows() {
  const hidden = new Set(view.getAll("hide"));
  const marked = new Set(view.getAll("mark"));
  if (pointedAt !== null && !hidden.has(pointedAt)) marked.add(pointedAt);
  for (const {element, data, parts} of plots) {
    element.classList.toggle("some-marked", data.keys.some((key) => marked.has(key) && !hidden.has(key)));
    for (const [part, key] of parts) {
      part.classList.toggle("off", hidden.has(key));
      part.classList.toggle("marked", marked.has(key));
    }
  }
  for (const element of document.querySelectorAll("tr[data-key], .legend li")) {
    const {key} = element.dataset;
    element.classList.toggle("marked", marked.has(key));
    element.classList.toggle("hidden-row", hidden.has(key));
    const [box, name] = [element.querySelector("input.show"), element.querySelector("button.key")];
    if (box) box.checked = !hidden.has(key);
    if (name) name.setAttribute("aria-pressed", view.getAll("mark").includes(key));
  }
}

function point(key) {
  if (pointedAt === key) return;
  pointedAt = key;
  showRows();
}

function addRowControls(element, holder, name) {
  const {key} = element.dataset;
  const box = make("input", {type: "checkbox", class: "show", "aria-label": `Show ${key} in figures`});
  box.title = "show in figures";
  box.addEventListener("change", () => toggleInView("hide", key));
  const label = button("", "", () => toggleInView("mark", key));
  label.className = "key";
  label.title = "highlight in all figures";
  name.replaceWith(label);
  label.append(name);
  holder.prepend(box);
  element.addEventListener("pointerenter", () => point(key));
  element.addEventListener("pointerleave", () => point(null));
}

for (const entry of document.querySelectorAll(".legend li")) {
  addRowControls(entry, entry, entry.querySelector("span"));
}
for (const row of document.querySelectorAll("tr[data-key]")) {
  const heading = row.querySelector("th");
  if (!drawnKeys.has(row.dataset.key)) continue;
  const line = make("span", {class: "name"}, heading.firstChild);
  heading.prepend(line);
  addRowControls(row, line, line.firstChild);
}
onView(showRows);
