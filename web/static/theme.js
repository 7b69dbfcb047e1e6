// Dark or light: the system's choice, unless the visitor chose otherwise here. The choice stays in this browser. And the
// browser's time zone in a cookie, so that pages show times in it.
"use strict";

const NAME = "fairgate-theme";

function chosen() {
  try { return localStorage.getItem(NAME); } catch { return null; }
}

function wear(theme) {
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
}

wear(chosen());

addEventListener("DOMContentLoaded", () => {
  const button = document.getElementById("theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    const theme = dark === "dark" ? "light" : "dark";
    wear(theme);
    try { localStorage.setItem(NAME, theme); } catch { /* then it lasts as long as this page */ }
  });
});

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const secure = location.protocol === "https:" ? "; secure" : "";
if (zone) document.cookie = `fairgate-zone=${zone}; path=/; max-age=31536000; samesite=lax${secure}`;
