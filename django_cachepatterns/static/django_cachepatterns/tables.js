/* Filters the lines of a table by what is typed. */
"use strict";

(function () {
  const typed = new Map(); // By the table's id: what the user looks for.

  function filter(id) {
    const looked = (typed.get(id) || "").trim().toLowerCase();
    for (const row of document.querySelectorAll(`#${id} tbody tr`)) {
      row.hidden = !row.cells[0].textContent.toLowerCase().includes(looked);
    }
  }

  document.addEventListener("input", (event) => {
    const id = event.target.dataset.filters;
    if (!id) return;
    typed.set(id, event.target.value);
    filter(id);
  });

  // The figures are new, and the user still looks for the same.
  document.addEventListener("cachepatterns:shown", (event) => {
    for (const input of event.target.querySelectorAll("[data-filters]")) {
      input.value = typed.get(input.dataset.filters) || "";
      filter(input.dataset.filters);
    }
  });
})();
