"use strict";
(function () {
  const panels = JSON.parse(document.getElementById("panels").textContent);
  const colours = JSON.parse(document.getElementById("colours").textContent);
  const root = document.documentElement;
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  const coarse = window.matchMedia("(pointer: coarse)").matches;
  const config = { displayModeBar: false, responsive: true, doubleClick: "reset" };
  const hidden = {};
  let printing = false;

  function mode() {
    if (printing) return "light";
    return root.dataset.theme || (prefersDark.matches ? "dark" : "light");
  }
  // Charts name their colours; a theme gives them values.
  function filled(value, palette) {
    if (typeof value === "string") {
      return value.replace(/^var\(--([a-z0-9-]+)\)$/, (_, name) => palette[name]);
    }
    if (Array.isArray(value)) {
      // Long lists of numbers hold no colour; a colour scale is a short one that begins with one.
      return value.length > 2 && typeof value[0] === "number"
        ? value
        : value.map((each) => filled(each, palette));
    }
    if (value && typeof value === "object") {
      const made = {};
      for (const key of Object.keys(value)) made[key] = filled(value[key], palette);
      return made;
    }
    return value;
  }
  function draw(element) {
    const figure = element.dataset.figure;
    const panel = filled(panels[figure][Number(element.dataset.panel)], colours[mode()]);
    for (const trace of panel.data) trace.visible = !(hidden[figure] || {})[trace.name];
    // A finger that moves over a chart moves the page.
    panel.layout.dragmode = coarse ? false : "zoom";
    return Plotly.react(element, panel.data, panel.layout, config);
  }
  const elements = Array.from(document.querySelectorAll(".panel"));
  function drawAll() {
    return elements.map(draw);
  }
  // One after another, so that the page can be read and scrolled meanwhile.
  let next = 0;
  function drawNext() {
    if (next === elements.length) {
      root.dataset.drawn = "all";
      return;
    }
    draw(elements[next]);
    next += 1;
    window.setTimeout(drawNext, 0);
  }

  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const figure = button.dataset.figure;
      const shown = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", String(!shown));
      hidden[figure] = hidden[figure] || {};
      hidden[figure][button.dataset.name] = shown;
      elements.filter((each) => each.dataset.figure === figure).forEach(draw);
    });
  }
  const SEARCHED = 12; // rows from which a table can be searched
  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows);
    if (rows.length > 1) {
      Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
        if (head.textContent) sortable(head, column, body);
      });
    }
    if (rows.length >= SEARCHED) {
      const field = document.createElement("input");
      field.type = "search";
      field.placeholder = "Search";
      field.setAttribute("aria-label", "Search in: " + table.caption.textContent);
      field.addEventListener("input", () => {
        const wanted = field.value.toLowerCase();
        for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
      });
      table.parentElement.nextElementSibling.append(field);
    }
  }
  function sortable(head, column, body) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const each of head.parentElement.cells) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const text = (row) => row.cells[column].textContent;
      const value = (row) => parseFloat(text(row).replace(/,|^\D+(?=\d)(?<!-)/g, ""));
      const numeric = head.classList.contains("n");
      const order = (a, b) => {
        if (!numeric) return text(a).localeCompare(text(b), undefined, { numeric: true });
        const [x, y] = [value(a), value(b)];
        return isNaN(x) || isNaN(y) ? isNaN(x) - isNaN(y) || 0 : x - y;
      };
      const sorted = Array.from(body.rows).sort((a, b) => (down ? -order(a, b) : order(a, b)));
      body.append(...sorted);
    });
  }
  const toggle = document.getElementById("theme");
  function label() {
    toggle.textContent = mode() === "dark" ? "Light" : "Dark";
    toggle.setAttribute("aria-label", "Switch to " + toggle.textContent.toLowerCase() + " colours");
  }
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    root.dataset.theme = mode() === "dark" ? "light" : "dark";
    label();
    drawAll();
  });
  prefersDark.addEventListener("change", () => { label(); drawAll(); });
  window.addEventListener("beforeprint", () => {
    printing = true;
    for (const each of document.querySelectorAll("details")) each.open = true;
    drawAll();
  });
  window.addEventListener("afterprint", () => { printing = false; drawAll(); });
  label();
  drawNext();
})();
