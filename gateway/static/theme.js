// Sets the theme before the first paint: the system's, or the one that was chosen here.
// A classic script on purpose: a module would run after the page was shown once in the wrong colours.
"use strict";
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;

  function chosen() {
    try {
      return localStorage.getItem("warmbox.theme");
    } catch {
      return null; // storage is blocked: follow the system
    }
  }

  function apply() {
    root.dataset.theme = chosen() ?? (system.matches ? "dark" : "light");
  }

  function toggle() {
    const next = root.dataset.theme === "dark" ? "light" : "dark";
    const follows = (next === "dark") === system.matches;
    try {
      if (follows) localStorage.removeItem("warmbox.theme");
      else localStorage.setItem("warmbox.theme", next);
    } catch {
      // Not remembered, but still switched.
    }
    root.dataset.theme = next;
  }

  apply();
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", toggle);
  });
})();
