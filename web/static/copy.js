// Buttons that copy the text of the element they name. Without this file they are not shown. What they say then stands
// in the page, in its reader's language.
"use strict";

for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) break;
  const words = button.firstChild;
  const before = words.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy).textContent;
    const done = await navigator.clipboard.writeText(text).then(() => true, () => false);
    const said = document.body.dataset;
    words.textContent = done ? said.copied : said.refused;
    setTimeout(() => { words.textContent = before; }, 2000);
  });
}
