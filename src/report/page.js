// What a report's page can do beyond being read: tell the numbers of a mark, hide a series, sort a
// table. All of it works with the keyboard, too; without this script everything is still there.
"use strict";
(() => {
  document.documentElement.classList.add("live");

  // --- Marks tell their numbers -------------------------------------------------------------------

  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "tooltip");
  document.body.append(tip);

  const show = (mark) => {
    tip.textContent = mark.dataset.tip;
    tip.style.display = "block";
    const at = mark.getBoundingClientRect();
    const box = tip.getBoundingClientRect();
    const left = at.left + at.width / 2 - box.width / 2;
    const above = at.top - box.height - 8;
    tip.style.left = `${Math.max(6, Math.min(left, document.documentElement.clientWidth - box.width - 6))}px`;
    tip.style.top = `${above > 6 ? above : at.bottom + 8}px`;
  };
  const hide = () => { tip.style.display = "none"; };

  for (const mark of document.querySelectorAll(".plot .mark")) {
    // The browser's own tooltip would cover this one.
    mark.querySelector("title")?.remove();
    mark.setAttribute("aria-label", mark.dataset.tip);
    mark.addEventListener("pointerenter", () => show(mark));
    mark.addEventListener("pointerleave", hide);
    mark.addEventListener("focus", () => show(mark));
    mark.addEventListener("blur", hide);
  }
  addEventListener("scroll", hide, { passive: true });

  // --- Keys of a legend hide and show their series ------------------------------------------------

  const pressed = (element, act) => {
    element.addEventListener("click", act);
    element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      act();
    });
  };

  for (const key of document.querySelectorAll(".plot .key")) {
    key.setAttribute("role", "button");
    key.setAttribute("aria-pressed", "true");
    pressed(key, () => {
      const off = key.classList.toggle("off");
      key.setAttribute("aria-pressed", String(!off));
      for (const series of key.closest("svg").querySelectorAll(".series")) {
        if (series.dataset.series === key.dataset.series) series.classList.toggle("off", off);
      }
    });
  }

  // --- Headings of a table sort its rows ----------------------------------------------------------

  // Numbers by their value, with what has none at the end; texts by the alphabet.
  const value = (row, column) => {
    const text = row.cells[column].textContent.trim();
    const number = /[-+]?\d+(\.\d+)?/.exec(text);
    return { text, number: column > 0 && number ? Number(number[0]) : NaN };
  };
  const compare = (a, b, sign) => {
    const none = Number.isNaN(a.number) - Number.isNaN(b.number);
    if (none) return none;
    if (!Number.isNaN(a.number)) return sign * (a.number - b.number);
    return sign * a.text.localeCompare(b.text, undefined, { numeric: true });
  };

  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    const headings = [...table.tHead.rows[0].cells];
    if (!body) continue;
    headings.forEach((heading, column) => {
      heading.tabIndex = 0;
      pressed(heading, () => {
        const down = heading.getAttribute("aria-sort") !== "descending" && column > 0 ||
          heading.getAttribute("aria-sort") === "ascending";
        for (const other of headings) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].map((row) => ({ row, key: value(row, column) }));
        rows.sort((a, b) => compare(a.key, b.key, down ? -1 : 1));
        body.append(...rows.map(({ row }) => row));
      });
    });
  }
})();
