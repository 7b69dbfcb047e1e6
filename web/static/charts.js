// The columns of a chart are one stop of the Tab key; arrows, Home and End go from one to the next. Without this file the
// first column is reached, and the table below the chart has them all.
"use strict";

const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

document.addEventListener("keydown", (event) => {
  const column = event.target.closest(".column");
  if (!column || !(event.key in STEPS)) return;
  event.preventDefault();
  const all = [...column.closest(".columns").querySelectorAll(".column")];
  const next = all[Math.max(0, Math.min(all.length - 1, all.indexOf(column) + STEPS[event.key]))];
  column.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
});
