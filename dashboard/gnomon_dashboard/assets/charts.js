// The words and dates of charts in the viewer's language. Plotly takes a locale that is left in
// `window.PlotlyLocales` before it loads; charts name it in their settings (translation.py).
(function () {
  "use strict";
  const language = document.cookie.split("; ").find((part) => part.startsWith("gnomon_language="))?.slice(16);
  if (!language || language === "en") return;

  // Plotly's own words (words/scripts.json has them with ours) come with the page, after this script: each is looked
  // up when it is shown. Plotly leaves a dictionary out that has no key, so this one has one.
  const dictionary = new Proxy({ Zoom: "" }, { get: (_, text) => window.gnomonPage.word(text) });

  function names(dates, kind, options) {
    const format = new Intl.DateTimeFormat(language, { timeZone: "UTC", ...options });
    return dates.map((date) => format.formatToParts(date).find((part) => part.type === kind).value);
  }

  function locale() {
    // 4 January 1970 was a Sunday, with which Plotly begins a week
    const days = Array.from({ length: 7 }, (_, day) => new Date(Date.UTC(1970, 0, 4 + day)));
    const months = Array.from({ length: 12 }, (_, month) => new Date(Date.UTC(1970, month, 1)));
    // as they are said behind a day: 23 ноября
    const said = names(months, "month", { month: "long", day: "numeric" });
    return {
      days: names(days, "weekday", { weekday: "long" }),
      shortDays: names(days, "weekday", { weekday: "short" }),
      months: names(months, "month", { month: "long" }),
      shortMonths: said.map((month) => month.slice(0, 3)),
      date: "%d.%m.%Y",
      dayMonth: "%-d %b",
      dayMonthYear: "%-d %b %Y",
    };
  }

  window.PlotlyLocales = [{ moduleType: "locale", name: language, dictionary, format: locale() }];
})();
