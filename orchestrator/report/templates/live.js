"use strict";
// Asks whether the study has news, and then loads the page anew, as it was looked at.
(function () {
  const SECONDS = 5;
  const mark = document.querySelector("meta[name=mark]").content;
  const note = document.getElementById("live");
  const root = document.documentElement;
  const clock = new Date().toLocaleTimeString();
  const every = (selector) => Array.from(document.querySelectorAll(selector));
  const names = (elements, wanted) =>
    elements.flatMap((element, number) => (wanted(element) ? [name(element, number)] : []));
  // What a thing is called; its number would be another's once there is more on the page.
  function name(element, number) {
    if (element.matches("button")) return element.dataset.figure + "/" + element.dataset.name;
    const above = element.closest("figure, section");
    const label = above ? above.getAttribute("aria-labelledby") : String(number);
    return label + "/" + element.querySelector("summary").textContent;
  }

  function keep() {
    const kept = {
      top: window.scrollY,
      open: names(every("details"), (element) => element.open),
      off: names(every(".legend button"), (each) => each.getAttribute("aria-pressed") === "false"),
      theme: root.dataset.theme || "",
    };
    sessionStorage.setItem("kept", JSON.stringify(kept));
  }
  function restore() {
    const kept = JSON.parse(sessionStorage.getItem("kept") || "null");
    if (!kept) return;
    if (kept.theme) root.dataset.theme = kept.theme;
    every("details").forEach((each, n) => (each.open = kept.open.includes(name(each, n))));
    root.style.scrollBehavior = "auto";
    window.scrollTo(0, kept.top);
    root.style.scrollBehavior = "";
    // The legend's buttons do something only once the page's own script has run.
    window.addEventListener("DOMContentLoaded", () => {
      for (const each of every(".legend button")) if (kept.off.includes(name(each, 0))) each.click();
    });
  }
  async function ask() {
    if (document.hidden || document.activeElement?.matches("input")) return;
    try {
      const headers = { "If-None-Match": '"' + mark + '"' };
      const answer = await fetch("/", { headers, cache: "no-store" });
      if (answer.status === 304) {
        note.textContent = "as of " + clock;
      } else {
        await answer.body.cancel();
        location.reload();
      }
    } catch {
      note.textContent = "as of " + clock + ", and no more: nobody answers here";
    }
  }
  history.scrollRestoration = "manual";
  window.addEventListener("pagehide", keep);
  document.addEventListener("visibilitychange", ask);
  note.textContent = "as of " + clock;
  restore();
  window.setInterval(ask, 1000 * SECONDS);
})();
