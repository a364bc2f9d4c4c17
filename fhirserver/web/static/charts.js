// Draws [data-chart] elements with uPlot; the numbers come from a JSON element and stand in a table as well.
"use strict";
for (const place of document.querySelectorAll("[data-chart]")) {
  const series = JSON.parse(document.getElementById(place.dataset.chart).textContent);
  const probe = document.createElement("span");
  place.append(probe);
  const colour = name => { probe.style.color = `var(${name})`; return getComputedStyle(probe).color; };
  const lines = ["--accent", "--warn", "--good", "--bad"].map(colour);
  const [ink, grid, range] = [colour("--soft"), colour("--line"), colour("--good")];
  probe.remove();
  const data = [series.times.map(t => Date.parse(t) / 1000), ...series.lines.map(l => l.values)];
  const options = series.lines.map((l, n) => ({label: l.label, stroke: lines[n % lines.length], width: 2,
    points: {show: true, size: 7}, spanGaps: true, value: (_, v) => v == null ? "–" : `${v} ${series.unit}`}));
  for (const [label, values] of [[series.limits?.[0], series.low], [series.limits?.[1], series.high]])
    if (values.some(v => v != null)) {
      data.push(values);
      options.push({label, stroke: range, dash: [6, 4], width: 1.5, points: {show: false}, spanGaps: true,
        value: (_, v) => v == null ? "–" : `${v} ${series.unit}`});
    }
  const axis = {stroke: ink, grid: {stroke: grid, width: 1}, ticks: {stroke: grid}};
  const {lang, dataset: {zone}} = document.documentElement;
  const language = lang === "en" ? "en-GB" : lang;  // dates as the pages write them, a clock of 24 hours
  const day = new Intl.DateTimeFormat(language, {year: "numeric", month: "short", day: "numeric", timeZone: zone});
  const size = () => ({width: place.clientWidth, height: Math.max(220, Math.min(340, place.clientWidth * .5))});
  const clock = new Intl.DateTimeFormat(language, {hour: "2-digit", minute: "2-digit", timeZone: zone});
  const months = new Intl.DateTimeFormat(language, {year: "2-digit", month: "short", timeZone: zone});
  const [tick, moment] = series.clock ? [clock, clock] : [months, day];
  const pointed = plot => plot.root.classList.toggle("pointed", plot.cursor.idx != null);
  const plot = new uPlot({...size(), hooks: {setCursor: [pointed]},
    axes: [{...axis, values: (_, ticks) => ticks.map(t => tick.format(t * 1000))}, {...axis, size: 56, label: series.unit}],
    series: [{label: series.axis, value: (_, v) => v == null ? "–" : moment.format(v * 1000)}, ...options]}, data, place);
  addEventListener("resize", () => plot.setSize(size()));
}
