// Saved views: addresses with a name, shared by everybody who sees the project.
(function () {
  "use strict";
  const { call, part, word } = window.gnomonPage;
  const project = () => document.querySelector("#filter-project")?.value || window.gnomonPage.parameters().get("project") || "";

  function entry(view, place) {
    const line = part("div", "view-line");
    const open = part("button", "menu-entry", view.name);
    open.type = "button";
    open.title = view.author ? `Saved by ${view.author}` : "";
    open.addEventListener("click", () => {
      place.closest("details").open = false;
      window.gnomonPage.visit(view.path + view.query);
    });
    const remove = part("button", "menu-entry view-remove", "×");
    remove.type = "button";
    remove.setAttribute("aria-label", `Delete the view ${view.name}`);
    remove.addEventListener("click", async (event) => {
      event.stopPropagation();
      await call("DELETE", `/api/views/${view.view_id}?project=${encodeURIComponent(view.project)}`);
      fill(place);
    });
    line.append(open, remove);
    return line;
  }

  function form(place) {
    const box = part("form", "view-form");
    const input = part("input", "view-name");
    input.placeholder = word("Name of this view");
    input.setAttribute("aria-label", word("Name of this view"));
    input.maxLength = 80;
    const button = part("button", "chip-button", "Save");
    box.append(input, button);
    box.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!input.value.trim()) return;
      const { pathname, search } = window.location;
      await call("POST", "/api/views", { project: project(), name: input.value.trim(), path: pathname, query: search });
      fill(place);
    });
    return box;
  }

  async function fill(place) {
    try {
      const { views } = await call("GET", `/api/views?project=${encodeURIComponent(project())}`);
      place.replaceChildren(...views.map((view) => entry(view, place)), form(place));
    } catch (error) {
      place.replaceChildren(part("p", "muted", word("Views cannot be read: {}", error.message)));
    }
  }

  document.addEventListener(
    "toggle",
    (event) => {
      const place = event.target.querySelector?.("[data-views]");
      if (place && event.target.open) fill(place);
    },
    true,
  );
})();
