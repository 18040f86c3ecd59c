/* Draws the charts of the dashboard with uPlot, from the JSON beside each of them. */
"use strict";

(function () {
  const drawn = new Map(); // By the chart's id: {plot, data, box, figure}.
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [1, 4], [12, 6]];
  const NOTHING = "–";

  const FORMATS = {
    percent: (value) => `${Math.floor(value * 1000) / 10} %`,
    count: (value) => value.toLocaleString("en"),
    seconds: (value) => {
      if (value === 0) return "0";
      if (value >= 1) return `${Number(value.toPrecision(3))} s`;
      if (value >= 1e-3) return `${Number((value * 1e3).toPrecision(3))} ms`;
      return `${Number((value * 1e6).toPrecision(3))} µs`;
    },
  };

  function isNone(value) {
    return value === null || value === undefined;
  }

  function told(value, unit) {
    return isNone(value) ? NOTHING : FORMATS[unit](value);
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  /* The user's time zone by its name; the browser's own where it knows no zone of that name. */
  const ZONE = (() => {
    const live = document.querySelector("[data-zone]");
    try {
      return new Intl.DateTimeFormat("en", { timeZone: live ? live.dataset.zone : "UTC" })
        .resolvedOptions().timeZone;
    } catch {
      return undefined;
    }
  })();

  function dateOf(seconds) {
    const date = new Date(seconds * 1000);
    return ZONE ? uPlot.tzDate(date, ZONE) : date;
  }

  function timeOf(seconds) {
    const options = { dateStyle: "short", timeStyle: "short", timeZone: ZONE };
    return new Date(seconds * 1000).toLocaleString("sv", options);
  }

  function columns(chart) {
    return [chart.x, ...chart.series.map((line) => line.values)];
  }

  /* The line to reach, over the chart. */
  function drawTarget(plot, target) {
    const y = plot.valToPos(target, "y", true);
    const { left, width } = plot.bbox;
    const { ctx } = plot;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour("--cp-target");
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
    ctx.font = `${12 * devicePixelRatio}px sans-serif`;
    const text = `${Math.round(target * 100)} %`;
    const [x, height] = [left + 4 * devicePixelRatio, 16 * devicePixelRatio];
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    ctx.globalAlpha = 0.85; // Lines may run below it.
    ctx.fillStyle = colour("--body-bg");
    ctx.fillRect(x, y + 3 * devicePixelRatio, ctx.measureText(text).width, height);
    ctx.globalAlpha = 1;
    ctx.fillStyle = colour("--cp-target");
    ctx.fillText(text, x, y + 3 * devicePixelRatio + height / 2);
    ctx.restore();
  }

  /* Ticks of the time axis: the smallest step between them in seconds, and how they are written. */
  const TIMES = [
    [31536000, "{YYYY}", null, null, null, null, null, null, 1],
    [2419200, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [86400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [1, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
  ];

  function axis(unit) {
    const own = {
      stroke: colour("--body-quiet-color"),
      grid: { stroke: colour("--hairline-color"), width: 1 },
      ticks: { stroke: colour("--hairline-color"), width: 1 },
    };
    if (!unit) return { ...own, space: 64, values: TIMES };
    return { ...own, size: 64, values: (plot, ticks) => ticks.map((tick) => told(tick, unit)) };
  }

  /* Of many steps only those are points that no line leads to: the only hour of a month, say. */
  function pointsOf(chart, line) {
    if (chart.x.length <= 60) return { show: true, size: 5 };
    const isThere = (at) => !isNone(line.values[at]);
    const filter = () =>
      [...chart.x.keys()].filter((at) => isThere(at) && !isThere(at - 1) && !isThere(at + 1));
    return { show: false, size: 5, filter };
  }

  function options(chart, box) {
    const lines = chart.series.map((line, at) => ({
      label: line.label,
      stroke: colour(`--cp-line-${(at % 7) + 1}`),
      width: at === 0 ? 2.5 : 1.5,
      dash: DASHES[at % DASHES.length].map((length) => length * devicePixelRatio),
      spanGaps: false,
      points: pointsOf(chart, line),
      value: (plot, value, series, at) => (isNone(at) ? "" : told(value, chart.unit)),
    }));
    const top = (plot, low, high) => [0, high > 0 ? high * 1.1 : 1];
    return {
      width: Math.max(box.clientWidth, 100),
      height: chart.target ? 260 : 190,
      tzDate: dateOf,
      series: [{ value: (plot, at) => (isNone(at) ? "" : timeOf(at)) }, ...lines],
      axes: [axis(), axis(chart.unit)],
      scales: { y: { range: chart.unit === "percent" ? [0, 1] : top } },
      cursor: { drag: { x: false, y: false } },
      hooks: { draw: chart.target ? [(plot) => drawTarget(plot, chart.target)] : [] },
    };
  }

  /* A line of the legend hides and shows its series: with the keyboard, too. */
  function makeLegendOperable(plot) {
    plot.root.querySelectorAll(".u-legend .u-series").forEach((row, at) => {
      if (at === 0) return;
      const head = row.querySelector("th");
      const tell = () => head.setAttribute("aria-pressed", String(plot.series[at].show));
      head.tabIndex = 0;
      head.setAttribute("role", "button");
      head.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        head.click();
      });
      head.addEventListener("click", () => setTimeout(tell));
      tell();
    });
  }

  function describe(one) {
    one.box.removeAttribute("role");
    one.box.removeAttribute("aria-label");
    const wrap = one.plot.root.querySelector(".u-wrap");
    wrap.setAttribute("role", "img");
    wrap.setAttribute("aria-label", one.chart.said);
  }

  function draw(figure, chart) {
    const box = figure.querySelector(".cp-plot");
    const plot = new uPlot(options(chart, box), columns(chart), box);
    const one = { plot, chart, box, figure };
    makeLegendOperable(plot);
    describe(one);
    drawn.set(figure.dataset.chart, one);
    resizing.observe(box);
  }

  /* The same lines at a later time: the chart stays as it is, and so does what the user has hidden. */
  function isSame(before, chart) {
    const labels = (each) => JSON.stringify([each.unit, each.series.map((line) => line.label)]);
    return labels(before) === labels(chart);
  }

  function attach(figure) {
    const chart = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    const before = drawn.get(figure.dataset.chart);
    if (before && (chart.empty || !isSame(before.chart, chart))) forget(figure.dataset.chart);
    if (chart.empty) return;
    const kept = drawn.get(figure.dataset.chart);
    if (!kept) {
      draw(figure, chart);
      return;
    }
    figure.querySelector(".cp-plot").replaceWith(kept.box);
    Object.assign(kept, { chart, figure });
    kept.plot.setData(columns(chart));
    describe(kept);
    fillTable(figure);
  }

  function forget(id) {
    const one = drawn.get(id);
    resizing.unobserve(one.box);
    one.plot.destroy();
    drawn.delete(id);
  }

  const resizing = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const one = [...drawn.values()].find((each) => each.box === target);
      const width = Math.floor(target.clientWidth);
      if (one && width && Math.abs(width - one.plot.width) > 1) {
        one.plot.setSize({ width, height: one.plot.height });
      }
    }
  });

  /* The colours are the theme's, which the user may change. */
  function drawAnew() {
    for (const [id, { figure, chart }] of [...drawn]) {
      forget(id);
      draw(figure, chart);
    }
  }

  /* The chart as a table, made when it is asked for. */
  function fillTable(figure) {
    const details = figure.querySelector("details");
    const one = drawn.get(figure.dataset.chart);
    if (!details || !details.open || !one) return;
    const { chart } = one;
    const table = document.createElement("table");
    table.className = "cp-table";
    const head = table.createTHead().insertRow();
    for (const text of ["Time", ...chart.series.map((line) => line.label)]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = text;
      head.append(cell);
    }
    const body = table.createTBody();
    chart.x.forEach((at, row) => {
      const line = body.insertRow();
      line.insertCell().textContent = timeOf(at);
      for (const each of chart.series) {
        const cell = line.insertCell();
        cell.className = "cp-number";
        cell.textContent = told(each.values[row], chart.unit);
      }
    });
    details.querySelector("[data-table]").replaceChildren(table);
  }

  function attachAll(root) {
    root.querySelectorAll("figure[data-chart]").forEach(attach);
  }

  document.addEventListener("toggle", (event) => {
    const figure = event.target.closest && event.target.closest("figure[data-chart]");
    if (figure) fillTable(figure);
  }, true);
  document.addEventListener("cachepatterns:shown", (event) => attachAll(event.target));
  new MutationObserver(drawAnew).observe(document.documentElement, {
    attributeFilter: ["data-theme"],
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAnew);
  attachAll(document);
})();
