// The page is right without this file. With it, the parts marked data-live follow the gateway: the page itself is
// asked for again, parsed without running anything, and only what differs is carried over node by node. So there is
// one renderer, the server's, and no text ever becomes markup here.
"use strict";

const PERIOD = 5000; // milliseconds
const PATIENCE = 10000; // milliseconds until an unanswered request counts as lost

function follow(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  const alike = old.nodeName === fresh.nodeName && old.childNodes.length === fresh.childNodes.length;
  if (!alike) {
    old.replaceWith(document.importNode(fresh, true));
  } else if (old.nodeType !== Node.ELEMENT_NODE) {
    old.textContent = fresh.textContent;
  } else {
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const children = [...fresh.childNodes];
    [...old.childNodes].forEach((child, index) => follow(child, children[index]));
  }
}

async function refresh() {
  const response = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (!response.ok) throw new Error("no status page");
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  document.title = fresh.title;
  for (const old of document.querySelectorAll("[data-live]")) {
    const replacement = fresh.getElementById(old.id);
    if (replacement) follow(old, replacement);
  }
}

async function beat() {
  if (!document.hidden) {
    const lost = await refresh().then(() => false, () => true);
    document.getElementById("lost").hidden = !lost;
    document.body.classList.toggle("stale", lost);
  }
  setTimeout(beat, PERIOD);
}

setTimeout(beat, PERIOD);
