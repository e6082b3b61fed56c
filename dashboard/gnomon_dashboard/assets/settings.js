// Language and time zone: cookies, because pages and figures are made on the server.
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
})();
