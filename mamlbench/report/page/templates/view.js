// The view: what the reader has chosen. It stands in the address after "#", so that a link keeps it.

const view = new URLSearchParams(viewInAddress());
const redraws = []; // each shows the present view

function viewInAddress() {
  return location.hash.includes("=") ? location.hash.slice(1) : "";
}

function onView(redraw) {
  redraws.push(redraw);
}

function showView() {
  for (const redraw of redraws) redraw();
}

function setView(name, ...values) {
  view.delete(name);
  for (const value of values) if (value) view.append(name, value);
  history.replaceState(null, "", "#" + view);
  showView();
}

function toggleInView(name, value) {
  const values = view.getAll(name);
  setView(name, ...(values.includes(value) ? values.filter((other) => other !== value) : [...values, value]));
}

addEventListener("hashchange", () => {
  const changed = viewInAddress();
  if (changed) {
    for (const name of [...view.keys()]) view.delete(name);
    for (const [name, value] of new URLSearchParams(changed)) view.append(name, value);
    showView();
  } else if ([...view].length && location.hash.length > 1) {
    setView("at", decodeURIComponent(location.hash.slice(1))); // a link within the page keeps the view
  }
});

function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  element.append(...children);
  return element;
}

function button(text, label, onClick) {
  const element = make("button", {type: "button"}, text);
  if (label) element.setAttribute("aria-label", label);
  element.addEventListener("click", onClick);
  return element;
}

const announcer = make("div", {class: "unseen", role: "status"});
document.querySelector("main").append(announcer);

function announce(text) {
  announcer.textContent = text;
}

function download(name, type, text) {
  const link = make("a", {download: name, href: URL.createObjectURL(new Blob([text], {type}))});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function dataOf(element) {
  return JSON.parse(element.querySelector('script[type="application/json"]').textContent);
}

// Rows of objects as CSV. Text that a spreadsheet would take for a formula begins with an apostrophe.
function asCsv(rows) {
  const names = [...new Set(rows.flatMap(Object.keys))];
  const cell = (value) => {
    if (value === null || value === undefined) return "";
    let text = String(value);
    if (typeof value === "string" && /^\s*[=+\-@]/.test(text)) text = "'" + text;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [names.map(cell), ...rows.map((row) => names.map((name) => cell(row[name])))].join("\n") + "\n";
}

function downloads(name, title, rows, content) {
  return [
    button("CSV", `Download ${title} as CSV`, () => download(`${name}.csv`, "text/csv", asCsv(rows()))),
    button("JSON", `Download ${title} as JSON`, () =>
      download(`${name}.json`, "application/json", JSON.stringify(content(), null, 1) + "\n")),
  ];
}
