// Datasets: the menu that adds calls to one, and what the page of a dataset writes.
(function () {
  "use strict";
  const { call, part, parameters, visit, word } = window.gnomonPage;
  const AT_ONCE = 500;
  const MOST = 10000;

  const project = () => parameters().get("project") || document.getElementById("filter-project")?.value || "";

  function say(place, text, isBad) {
    if (!place) return;
    place.textContent = text;
    place.classList.toggle("bad", Boolean(isBad));
  }

  // --- the menu ----------------------------------------------------------------------------

  async function addCall(place, dataset, state) {
    const { trace, span } = place.dataset;
    const body = { project: project(), dataset, trace_id: trace, span_id: span || "" };
    say(state, (await call("POST", "/api/datasets/add", body)).message);
  }

  // part by part, so that the page can say how far it is, and a long result holds nobody up
  async function addResult(place, dataset, state) {
    const wanted = Math.min(MOST, Number(place.querySelector("input[type=number]").value) || AT_ONCE);
    const search = window.location.search;
    let [seen, added, without, until] = [0, 0, 0, null];
    while (seen < wanted && place.isConnected) {
      const limit = Math.min(AT_ONCE, wanted - seen);
      const body = { project: project(), dataset, search, offset: seen, limit, until };
      const answer = await call("POST", "/api/datasets/add-result", body);
      [seen, added, until] = [seen + answer.rows, added + answer.added, answer.until];
      without += answer.without_model;
      say(state, `${seen.toLocaleString("en")} of at most ${wanted.toLocaleString("en")} …`);
      if (answer.rows < limit) break;
    }
    const [known, none] = [seen - added - without, without].map((count) => count.toLocaleString("en"));
    say(state, `${added.toLocaleString("en")} added to ${dataset}, ${known} were in it, ${none} called no model.`);
  }

  async function add(place, dataset, state) {
    place.inert = true;
    try {
      await (place.dataset.datasets === "query" ? addResult : addCall)(place, dataset, state);
    } catch (error) {
      say(state, error.message, true);
    } finally {
      place.inert = false;
    }
  }

  function entry(one, place, state) {
    const button = part("button", "menu-entry stays", one.name);
    button.type = "button";
    button.append(part("span", "muted", ` ${one.examples.toLocaleString("en")}`));
    button.addEventListener("click", () => add(place, one.name, state));
    return button;
  }

  function limitOf() {
    const label = part("label", "dataset-limit", "The first ");
    const input = part("input", "view-name");
    Object.assign(input, { type: "number", min: 1, max: MOST, value: 1000 });
    label.append(input, part("span", "", " of this result to"));
    return label;
  }

  function form(place, state) {
    const box = part("form", "view-form");
    const input = part("input", "view-name");
    input.placeholder = word("Name of a new dataset");
    input.setAttribute("aria-label", word("Name of a new dataset"));
    input.maxLength = 80;
    box.append(input, part("button", "chip-button", "Add"));
    box.addEventListener("submit", async (event) => {
      event.preventDefault();
      const name = input.value.trim();
      if (!name) return;
      try {
        const made = await call("POST", "/api/datasets", { project: project(), name });
        await add(place, made.name, state);
      } catch (error) {
        say(state, error.message, true);
      }
    });
    return box;
  }

  async function fill(place) {
    const state = part("p", "menu-state");
    state.setAttribute("role", "status");
    try {
      const { datasets } = await call("GET", `/api/datasets?project=${encodeURIComponent(project())}`);
      const limit = place.dataset.datasets === "query" ? [limitOf()] : [];
      place.replaceChildren(...limit, ...datasets.map((one) => entry(one, place, state)), form(place, state), state);
    } catch (error) {
      place.replaceChildren(part("p", "muted", word("Datasets cannot be read: {}", error.message)));
    }
  }

  document.addEventListener(
    "toggle",
    (event) => {
      const place = event.target.querySelector?.(":scope > [data-datasets]");
      if (place && event.target.open) fill(place);
    },
    true,
  );

  // --- the page ------------------------------------------------------------------------------

  const state = () => document.getElementById("dataset-state");
  const refresh = () => document.getElementById("refresh-now")?.click();

  async function write(path, body) {
    try {
      say(state(), (await call("POST", `/api/datasets/${path}`, { project: project(), ...body })).message);
      return true;
    } catch (error) {
      say(state(), error.message, true);
      return false;
    }
  }

  // in a dialog: the list under it may be drawn anew meanwhile
  function expect({ dataset, example, expected }) {
    const box = part("dialog", "sheet");
    const head = part("div", "sheet-head");
    const [save, close] = [part("button", "chip-button active", "Save"), part("button", "chip-button", "Close")];
    const text = part("textarea", "sheet-text");
    text.value = expected;
    text.setAttribute("aria-label", "Expected output");
    head.append(part("h2", "", "What the answer should have been"), save, close);
    box.append(head, text);
    close.addEventListener("click", () => box.close());
    save.addEventListener("click", async () => {
      if (!(await write("expect", { dataset, example, expected: text.value }))) return;
      box.close();
      refresh();
    });
    box.addEventListener("close", () => box.remove());
    document.body.append(box);
    box.showModal();
  }

  const ACTIONS = {
    "dataset-expect": (button) => expect(button.dataset),
    async "dataset-remove"({ dataset: { dataset, example } }) {
      if (await write("remove", { dataset, example })) refresh();
    },
    async "dataset-delete"(button) {
      // the second click is the one that counts
      if (button.dataset.sure !== "yes") {
        button.dataset.sure = "yes";
        button.textContent = word("Delete it for good");
        return;
      }
      if (await write("delete", { dataset: button.dataset.dataset })) visit(`/datasets?${parameters()}`);
    },
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-action]");
    ACTIONS[button?.dataset.action]?.(button);
  });

  document.addEventListener("submit", async (event) => {
    if (event.target.id !== "dataset-form") return;
    event.preventDefault();
    const value = (id) => document.getElementById(id).value.trim();
    const body = { project: project(), name: value("dataset-name"), description: value("dataset-description") };
    if (!body.name) return say(state(), "A dataset needs a name.", true);
    try {
      const made = await call("POST", "/api/datasets", body);
      say(state(), `Made: ${made.name}.`);
      refresh();
    } catch (error) {
      say(state(), error.message, true);
    }
  });
})();
