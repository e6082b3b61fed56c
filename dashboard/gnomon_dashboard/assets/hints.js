// What a panel's figures mean: the label of its hint button, shown beside it while it is pointed at or has the focus.
(function () {
  "use strict";
  const GAP = 6;
  const EDGE = 8;
  let shown = null;
  let button = null;

  function hide() {
    shown?.remove();
    shown = button = null;
  }

  function place() {
    if (!shown) return;
    const [at, own] = [button.getBoundingClientRect(), shown.getBoundingClientRect()];
    const left = at.left + at.width / 2 - own.width / 2;
    const above = at.top - GAP - own.height;
    shown.style.left = `${Math.max(EDGE, Math.min(left, document.documentElement.clientWidth - own.width - EDGE))}px`;
    shown.style.top = `${above < EDGE ? at.bottom + GAP : above}px`;
  }

  function show(of) {
    hide();
    button = of;
    shown = window.gnomonPage.part("div", "hint-text");
    shown.setAttribute("role", "tooltip");
    shown.textContent = button.getAttribute("aria-label");
    document.body.append(shown);
    place();
  }

  for (const name of ["mouseover", "focusin", "click"]) {
    document.addEventListener(name, (event) => {
      const of = event.target.closest?.(".hint");
      if (of) show(of);
      else hide();
    });
  }
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", place, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
})();
