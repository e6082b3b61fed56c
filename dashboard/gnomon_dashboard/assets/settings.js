// Language and time zone: cookies, because pages and figures are made on the server. And what admins change here:
// keys, people and what is set for the project; the server answers with a sentence, and at times with a secret.
(function () {
  "use strict";
  const clientside = (window.dash_clientside = window.dash_clientside || {});

  function cookie(name) {
    const found = document.cookie.split("; ").find((part) => part.startsWith(`${name}=`));
    return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
  }

  function keep(name, value) {
    const age = value ? 31536000 : 0;
    document.cookie = `${name}=${encodeURIComponent(value)}; path=/; max-age=${age}; samesite=lax`;
  }

  clientside.gnomonSettings = {
    change(language, zone) {
      const before = [cookie("gnomon_language") || "en", cookie("gnomon_zone_chosen")];
      if (language === undefined || language === null) {
        // just laid out: the controls show what is set
        window.dash_clientside.set_props("settings-language", { value: before[0] });
        window.dash_clientside.set_props("settings-zone", { value: before[1] });
        return window.dash_clientside.no_update;
      }
      if (language !== before[0] || (zone ?? "") !== before[1]) {
        keep("gnomon_language", language === "en" ? "" : language);
        keep("gnomon_zone_chosen", zone ?? "");
        if (zone) keep("gnomon_zone", zone);
        window.location.reload();
      }
      return window.dash_clientside.no_update;
    },
  };

  const text = (id) => document.getElementById(id)?.value.trim() ?? "";
  const number = (id) => (text(id) === "" ? null : Number(text(id).replace(/[ ,]/g, "")));
  const checked = (id) => Boolean(document.getElementById(id)?.checked);
  const project = () => window.gnomonPage.parameters().get("project") || text("filter-project");
  const person = (prefix) => ({
    username: text(`${prefix}-name`),
    role: text(`${prefix}-role`),
    project: checked(`${prefix}-all`) ? "*" : project(),
  });

  // action: [path, body, what is asked before]
  const ACTIONS = {
    "settings-project": [
      "project",
      () => ({
        project: project(),
        span_days: number("settings-span-days"),
        content_days: number("settings-content-days"),
        max_spans_per_minute: number("settings-max-spans-per-minute"),
        max_bytes_per_minute: number("settings-max-bytes-per-minute"),
        mask_content: checked("settings-mask"),
      }),
      () => ["Save the settings of {}? What is older than the days given is deleted within an hour.", project()],
    ],
    "settings-key-create": [
      "keys",
      () => ({
        project: project(),
        scope: text("settings-key-scope"),
        name: text("settings-key-name"),
        days: number("settings-key-days"),
      }),
    ],
    "settings-key-rotate": ["keys/rotate", (id) => ({ key_id: id })],
    "settings-key-revoke": [
      "keys/revoke",
      (id) => ({ key_id: id }),
      (id) => ["Revoke {}? What uses it is refused from now on.", id],
    ],
    "settings-user-create": ["users", () => person("settings-user")],
    "settings-user-role": ["users/role", () => person("settings-role")],
    "settings-user-password": [
      "users/password",
      (name) => ({ username: name }),
      (name) => ["Make a new password for {}? The old one stops working.", name],
    ],
    "settings-user-delete": [
      "users/delete",
      (name) => ({ username: name }),
      (name) => ["Remove {}? Open sessions end.", name],
    ],
  };

  function say(message, secret, isBad) {
    const { part } = window.gnomonPage;
    const line = part("p", isBad ? "alert-state bad" : "alert-state", message);
    const place = document.getElementById("settings-answer");
    place.replaceChildren(line);
    if (secret) {
      const shown = part("code", "settings-secret", secret);
      const copy = part("button", "chip-button", "Copy");
      copy.type = "button";
      copy.addEventListener("click", () => navigator.clipboard?.writeText(secret));
      place.append(shown, copy);
    }
    place.scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-action]");
    const action = button && ACTIONS[button.dataset.action];
    if (!action) return;
    const [path, body, question] = action;
    if (question && !window.confirm(window.gnomonPage.word(...question(button.dataset.value)))) return;
    try {
      const answer = await window.gnomonPage.call("POST", `/api/settings/${path}`, body(button.dataset.value));
      say(answer.message, answer.secret, false);
      document.getElementById("refresh-now")?.click();
    } catch (error) {
      say(error.message, "", true);
    }
  });
})();
