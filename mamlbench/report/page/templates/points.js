// Points of figures: the one next to the pointer, or the one that arrow keys lead to, shows its numbers.

const NEAR = 18; // pixels within which a point is next to the pointer
const tip = make("div", {class: "tip", "aria-hidden": "true", hidden: ""});
document.body.append(tip);
let current = null; // the plot and the number of the point shown

function visiblePoints({data}) {
  const hidden = new Set(view.getAll("hide"));
  return data.points.map((_, index) => index).filter((index) => !hidden.has(data.keys[data.points[index][0]]));
}

function shownNumber(value) {
  if (typeof value !== "number") return value;
  if (Math.abs(value) >= 1000) return value.toLocaleString("en", {maximumFractionDigits: 0});
  return String(Number(value.toPrecision(4)));
}

function showPoint(plot, index, spoken) {
  if (current?.plot === plot && current.index === index) return;
  hidePoint();
  const {data, svg} = plot;
  const [row, x, y, ...values] = data.points[index];
  const mark = document.createElementNS(SVG, "circle");
  setAttributes(mark, {class: "here", cx: x, cy: y, r: 5});
  svg.append(mark);
  const facts = data.columns.map((name, column) => [name, values[column]]).filter(([, value]) => value !== null);
  tip.replaceChildren(
    make("b", {}, data.keys[row]),
    make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, shownNumber(value))])),
  );
  tip.hidden = false;
  place(mark.getBoundingClientRect());
  current = {plot, index, mark};
  if (spoken) announce([data.keys[row], ...facts.map(([name, value]) => `${name} ${shownNumber(value)}`)].join(", "));
}

function place(mark) {
  const {width, height} = tip.getBoundingClientRect();
  const page = document.documentElement.clientWidth;
  const left = Math.min(Math.max(mark.left + mark.width / 2 - width / 2, 4), page - width - 4);
  const above = mark.top - height - 8;
  tip.style.left = `${left + scrollX}px`;
  tip.style.top = `${(above > 0 ? above : mark.bottom + 8) + scrollY}px`;
}

function hidePoint() {
  current?.mark.remove();
  current = null;
  tip.hidden = true;
}

function nearest(plot, event) {
  const box = plot.svg.getBoundingClientRect();
  const scale = box.width / plot.svg.viewBox.baseVal.width;
  const distance = (index) => {
    const [, x, y] = plot.data.points[index];
    return Math.hypot(box.left + scale * x - event.clientX, box.top + scale * y - event.clientY);
  };
  let best = null;
  for (const index of visiblePoints(plot)) {
    const far = distance(index);
    if (far < NEAR && (best === null || far < best.far)) best = {index, far};
  }
  return best?.index;
}

function pointByKey(plot, key) {
  const {points} = plot.data;
  const order = visiblePoints(plot).sort((a, b) => points[a][0] - points[b][0] || points[a][1] - points[b][1] || a - b);
  if (!order.length) return undefined;
  const at = current?.plot === plot ? order.indexOf(current.index) : -1;
  if (at < 0) return order[0];
  const rowAt = points[order[at]][0];
  if (key === "ArrowLeft") return order[Math.max(at - 1, 0)];
  if (key === "ArrowRight") return order[Math.min(at + 1, order.length - 1)];
  const sameRow = order.filter((index) => points[index][0] === rowAt);
  if (key === "Home") return sameRow[0];
  if (key === "End") return sameRow.at(-1);
  const rows = [...new Set(order.map((index) => points[index][0]))];
  const next = rows[rows.indexOf(rowAt) + (key === "ArrowDown" ? 1 : -1)];
  const far = (index) => Math.abs(points[index][1] - points[order[at]][1]);
  if (next === undefined) return order[at];
  return order.filter((index) => points[index][0] === next).sort((a, b) => far(a) - far(b))[0];
}

const KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];

for (const plot of plots.filter(({data}) => data.points.length)) {
  const {element, svg} = plot;
  const about = `${svg.getAttribute("aria-label")}. Arrow keys read its points; Enter highlights a row.`;
  setAttributes(element, {tabindex: 0, role: "application", "aria-label": about});
  const byPointer = (event) => {
    const index = nearest(plot, event);
    if (index === undefined) hidePoint();
    else showPoint(plot, index, false);
    point(index === undefined ? null : plot.data.keys[plot.data.points[index][0]]);
  };
  element.addEventListener("pointermove", byPointer);
  element.addEventListener("pointerdown", byPointer);
  element.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "touch") return; // stays until another place is touched
    hidePoint();
    point(null);
  });
  element.addEventListener("blur", hidePoint);
  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (KEYS.includes(event.key)) {
      const index = pointByKey(plot, event.key);
      if (index !== undefined) showPoint(plot, index, true);
      event.preventDefault();
    } else if (event.key === "Enter" && current?.plot === plot) {
      toggleInView("mark", plot.data.keys[plot.data.points[current.index][0]]);
    }
  });
}
addEventListener("keydown", (event) => {
  if (event.key === "Escape") hidePoint();
});
onView(hidePoint);
