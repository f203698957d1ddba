// The page's own tools, and the first drawing.

const link = button("Copy link to this view", "", async () => {
  let copied = true;
  try {
    await navigator.clipboard.writeText(location.href);
  } catch {
    copied = false; // the browser does not allow it here
  }
  link.textContent = copied ? "Copied" : "The link is in the address bar";
  setTimeout(() => (link.textContent = "Copy link to this view"), 2000);
});
const reset = button("Reset view", "", () => {
  for (const name of [...view.keys()]) view.delete(name);
  setView("at");
});
document.querySelector("header").append(make("div", {class: "tools page-tools"}, link, reset));
onView(() => (reset.disabled = ![...view].length));
document.documentElement.classList.add("scripted");
showView();
if (view.get("at")) document.getElementById(view.get("at"))?.scrollIntoView();
