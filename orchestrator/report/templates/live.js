"use strict";
// Asks whether the study has news, and then loads the page anew, as it was looked at.
(function () {
  const SECONDS = 5;
  const mark = document.querySelector("meta[name=mark]").content;
  const note = document.getElementById("live");
  const root = document.documentElement;
  const clock = new Date().toLocaleTimeString();
  const every = (selector) => Array.from(document.querySelectorAll(selector));
  const top = (element) => element.getBoundingClientRect().top;
  // What a thing is called: its number would be another's once there is more on the page.
  function name(element) {
    if (element.matches("button")) return element.dataset.figure + "/" + element.dataset.name;
    const around = element.parentElement.closest("figure, section");
    const text = (element.querySelector("summary") || element).textContent;
    return (around ? around.getAttribute("aria-labelledby") : "") + "/" + text;
  }
  const off = (button) => button.getAttribute("aria-pressed") === "false";

  function keep() {
    const far = (each) => Math.abs(top(each));
    const near = every("h2, h3").reduce((one, other) => (far(other) < far(one) ? other : one), root);
    const kept = {
      // Beside the nearest heading: what is above may have grown, or is not drawn yet.
      heading: near === root || window.scrollY === 0 ? "" : name(near),
      by: window.scrollY === 0 ? 0 : top(near),
      open: every("details").filter((each) => each.open).map(name),
      off: every(".legend button").filter(off).map(name),
      theme: root.dataset.theme || "",
    };
    sessionStorage.setItem("kept", JSON.stringify(kept));
  }
  function restore() {
    const kept = JSON.parse(sessionStorage.getItem("kept") || "null");
    if (!kept) return;
    if (kept.theme) root.dataset.theme = kept.theme;
    for (const each of every("details")) each.open = kept.open.includes(name(each));
    const near = every("h2, h3").find((each) => name(each) === kept.heading);
    const place = () => {
      const from = near ? window.scrollY + top(near) : 0;
      window.scrollTo({ top: from - kept.by, behavior: "instant" });
    };
    place();
    // Only once the page's own script has run, legend's buttons work and tables have their fields.
    window.addEventListener("DOMContentLoaded", () => {
      for (const each of every(".legend button")) if (kept.off.includes(name(each))) each.click();
      place();
    });
  }
  async function ask() {
    // Not while somebody types what to search for.
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
