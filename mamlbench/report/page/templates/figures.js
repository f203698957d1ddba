// Figures: one x axis of several, enlarge, download as SVG with its legend, or the numbers behind it.

const SVG = "http://www.w3.org/2000/svg";
const LEGEND_LINE = 14; // height of an entry of the legend in a downloaded figure, in the figure's points

function enhanceFigure(figure) {
  const heading = figure.querySelector("h3");
  const title = heading.textContent;
  const own = plots.filter(({element}) => figure.contains(element));
  const tools = make("div", {class: "tools"});
  const axes = own.map(({element}) => element.dataset.axis).filter(Boolean);
  if (axes.length > 1) addAxisChoice(own, axes, heading);
  const enlarge = button("Enlarge", `Enlarge ${title}`, () => toggleInView("large", figure.id));
  enlarge.setAttribute("aria-pressed", "false");
  const shown = () => own.find(({element}) => !element.classList.contains("off"));
  tools.append(
    enlarge,
    button("SVG", `Download ${title} as SVG`, () =>
      download(`${figure.id}.svg`, "image/svg+xml", asFile(shown(), figure))),
    ...downloads(figure.id, title, () => rowsOf(shown().data), () => rowsOf(shown().data)),
  );
  figure.append(tools);
  onView(() => {
    const large = view.getAll("large").includes(figure.id);
    figure.classList.toggle("large", large);
    enlarge.setAttribute("aria-pressed", large);
    enlarge.textContent = large ? "Reduce" : "Enlarge";
  });
}

function addAxisChoice(own, axes, heading) {
  const select = make("select", {"aria-label": "x axis of learning curves"});
  select.append(...axes.map((axis) => make("option", {value: axis}, `by ${axis}`)));
  select.addEventListener("change", () => setView("x", select.value === axes[0] ? "" : select.value));
  heading.after(make("div", {class: "tools"}, select));
  onView(() => {
    const axis = axes.includes(view.get("x")) ? view.get("x") : axes[0];
    select.value = axis;
    for (const {element} of own) element.classList.toggle("off", element.dataset.axis !== axis);
  });
}

function rowsOf({keys, columns, points}) {
  return points.map(([row, , , ...values]) => ({
    row: keys[row],
    ...Object.fromEntries(columns.map((name, index) => [name, values[index]])),
  }));
}

// The figure in colors of its own, without what is hidden, and with a legend if its rows have no names in it.
function asFile({svg, element}, figure) {
  const copy = svg.cloneNode(true);
  copy.querySelectorAll(".off, .here").forEach((part) => part.remove());
  copy.setAttribute("xmlns", SVG);
  const box = svg.viewBox.baseVal;
  const named = [...element.querySelectorAll("text")].map((text) => text.textContent);
  const entries = [...(figure.closest("section")?.querySelectorAll(".legend li") ?? [])].filter(
    ({dataset}) => !isHidden(dataset.key) && !named.includes(dataset.key));
  entries.forEach((entry, index) => {
    const y = box.height + LEGEND_LINE * (index + 0.5);
    const sample = document.createElementNS(SVG, "g");
    sample.setAttribute("transform", `translate(24 ${y}) scale(0.8)`);
    sample.append(...[...entry.querySelectorAll("svg > *")].map((part) => part.cloneNode(true)));
    const text = document.createElementNS(SVG, "text");
    setAttributes(text, {x: 42, y: y + 3, "font-size": 9, fill: "currentColor"});
    text.textContent = entry.dataset.key;
    copy.append(sample, text);
  });
  const height = box.height + LEGEND_LINE * entries.length + 4;
  setAttributes(copy, {
    viewBox: `0 0 ${box.width} ${height}`, width: 2 * box.width, height: 2 * height,
    style: "color: #333; background: #fff; font-family: sans-serif",
  });
  return new XMLSerializer().serializeToString(copy).replaceAll("var(--rule)", "#d5d5d5");
}

document.querySelectorAll(".figures figure").forEach(enhanceFigure);
