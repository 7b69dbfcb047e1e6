// A page is right without this file. With it, numbers follow the gateway: on the status page /events tells the texts of
// the elements by their ids. When something else has changed, the page itself is asked for again, parsed without running anything, and
// only what differs is carried over node by node. So there is one renderer, the server's, and no text ever becomes
// markup here. On other pages, and where events do not arrive, the page is asked for every few seconds instead.
"use strict";

const PERIOD = 5000; // milliseconds between two looks at the page, where there are no events
const PATIENCE = 10000; // milliseconds until an unanswered request counts as lost
const SILENCE = 30000; // milliseconds without an event until they are given up

let heard = Date.now();
let listening = false;
let asking = false;

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
  const asked = { headers: { Accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) };
  const response = await fetch(location.pathname, asked); // without the header /status would answer with JSON
  if (!response.ok) throw new Error("no status page");
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  document.title = fresh.title;
  for (const old of document.querySelectorAll("[data-live]")) {
    const replacement = fresh.getElementById(old.id);
    if (replacement) follow(old, replacement);
  }
}

function lose(lost) {
  document.getElementById("lost").hidden = !lost;
  document.body.classList.toggle("stale", lost);
}

async function look() {
  if (asking) return;
  asking = true;
  lose(await refresh().then(() => false, () => true));
  asking = false;
}

function put({ shape, text, width }) {
  for (const [id, words] of Object.entries(text)) {
    const element = document.getElementById(id);
    if (element && element.textContent !== words) element.textContent = words;
  }
  for (const [id, wide] of Object.entries(width)) document.getElementById(id)?.setAttribute("width", wide);
  if (document.getElementById("hero").dataset.shape !== shape) look();
}

function listen() {
  const events = new EventSource("/events");
  events.onmessage = (event) => {
    heard = Date.now();
    listening = true;
    lose(false);
    put(JSON.parse(event.data));
  };
  events.onerror = () => { listening = false; };
}

function beat() {
  if (Date.now() - heard > SILENCE) listening = false;
  if (!document.hidden && !listening) look();
  setTimeout(beat, PERIOD);
}

if (document.getElementById("hero")) listen();
setTimeout(beat, PERIOD);
