"use strict";
// Without this script everything is there, the worst first; with it, findings can be
// searched and put in another order.
(() => {
  const list = document.getElementById("list");
  if (!list) return;
  const find = document.getElementById("find"), order = document.getElementById("order"), count = document.getElementById("count");
  const all = [...list.children];
  document.querySelector(".scripted").hidden = false;

  const compare = {
    severity: () => 0,
    name: (a, b) => a.dataset.name.localeCompare(b.dataset.name),
    check: (a, b) => a.dataset.check.localeCompare(b.dataset.check),
  };
  const apply = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of all) item.classList.toggle("missed", !words.every((w) => item.dataset.text.includes(w)));
    const by = compare[order.value];
    list.append(...all.slice().sort((a, b) => by(a, b) || b.dataset.severity - a.dataset.severity));
    const shown = all.filter((item) => getComputedStyle(item).display !== "none").length;
    count.textContent = `${shown} of ${all.length} shown`;
  };
  find.addEventListener("input", apply);
  order.addEventListener("change", apply);
  document.querySelectorAll(".tools input[type=checkbox]").forEach((box) => box.addEventListener("change", apply));
  apply();
})();
