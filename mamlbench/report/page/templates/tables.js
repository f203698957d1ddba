// Tables: sort by a column, filter rows, download.

const FEW_ROWS = 3; // a table with no more has nothing to filter

function enhanceTable(element) {
  const table = element.querySelector("table");
  const title = element.querySelector(".scroll").getAttribute("aria-label");
  const rows = [...table.tBodies[0].rows];
  const tools = make("div", {class: "tools"});
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, index) => addSorting(element.id, heading, index, rows));
  if (rows.length > FEW_ROWS) addFilter(element.id, title, rows, tools);
  const content = () => dataOf(element);
  const flat = () => content().rows.map((row) => ({...content().conditions, ...row}));
  tools.append(...downloads(element.id, title, flat, content));
  element.prepend(tools);
  onView(() => showOrder(element.id, table, headings, rows));
}

function addSorting(id, heading, index, rows) {
  const name = heading.dataset.column ?? "algorithm";
  const numeric = rows.some((row) => row.cells[index].dataset.value !== undefined);
  const first = numeric && heading.dataset.best !== "low" ? `-${name}` : name; // the best on top
  const second = first === name ? `-${name}` : name;
  const sort = button("", "", () => {
    const next = {[first]: second, [second]: ""}[view.get(`sort.${id}`)] ?? first;
    setView(`sort.${id}`, next);
  });
  sort.append(...heading.childNodes);
  heading.append(sort);
}

function showOrder(id, table, headings, rows) {
  const chosen = view.get(`sort.${id}`) ?? "";
  const descending = chosen.startsWith("-");
  const index = headings.findIndex((heading) => (heading.dataset.column ?? "algorithm") === chosen.replace(/^-/, ""));
  headings.forEach((heading, other) => {
    if (other === index) heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    else heading.removeAttribute("aria-sort");
  });
  table.tBodies[0].append(...(index < 0 ? rows : [...rows].sort((a, b) => compareCells(a, b, index, descending))));
}

function compareCells(a, b, index, descending) {
  const [first, second] = [a.cells[index], b.cells[index]];
  const values = [first, second].map((cell) => (cell.dataset.value === undefined ? NaN : Number(cell.dataset.value)));
  const sign = descending ? -1 : 1;
  if (values.some((value) => !Number.isNaN(value))) {
    if (values.some(Number.isNaN)) return Number.isNaN(values[0]) ? 1 : -1; // no number: below, in either order
    return sign * (values[0] - values[1]);
  }
  const texts = [first, second].map((cell) => cell.textContent.trim());
  if (!texts[0] || !texts[1]) return texts[0] ? -1 : texts[1] ? 1 : 0;
  return sign * texts[0].localeCompare(texts[1], "en", {numeric: true});
}

function addFilter(id, title, rows, tools) {
  const input = make("input", {type: "search", placeholder: "filter rows", "aria-label": `Filter rows of ${title}`});
  input.title = "words that a row has to contain; -word: must not contain";
  const count = make("output");
  input.addEventListener("input", () => setView(`filter.${id}`, input.value.trim()));
  tools.append(input, count);
  const texts = rows.map((row) => `${row.dataset.key} ${row.textContent}`.toLowerCase());
  onView(() => {
    const text = view.get(`filter.${id}`) ?? "";
    if (input.value.trim() !== text) input.value = text;
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, index) => {
      const fits = (word) => (/^-./.test(word) ? !texts[index].includes(word.slice(1)) : texts[index].includes(word));
      row.hidden = !words.every(fits);
      shown += !row.hidden;
    });
    count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  });
}

document.querySelectorAll(".table").forEach(enhanceTable);
