(function () {
  "use strict";
  var data = JSON.parse(document.getElementById("data").textContent);
  var chart = document.getElementById("timeline");

  // A colour is the name of a variable of the style, which has other values in the dark.
  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function coloured(value) {
    if (typeof value === "string") return value.slice(0, 2) === "--" ? colour(value) : value;
    if (Array.isArray(value) || value === null || typeof value !== "object") return value;
    var copy = {};
    Object.keys(value).forEach(function (key) { copy[key] = coloured(value[key]); });
    return copy;
  }

  function drawn(trace) {
    var copy = coloured(trace);
    if (trace.texts) {
      copy.hovertext = trace.texts.map(function (number) {
        return data.texts[number] + "<br>here: " + trace.name;
      });
      delete copy.texts;
    }
    if (copy.marker && copy.marker.pattern) {
      copy.marker.pattern.bgcolor = copy.marker.color;
      copy.marker.pattern.fgcolor = "#000000";
      copy.marker.pattern.fgopacity = 0.4;
    }
    return copy;
  }

  function layout() {
    var copy = JSON.parse(JSON.stringify(data.layout));
    var ink = colour("--ink"), grid = colour("--grid");
    copy.paper_bgcolor = copy.plot_bgcolor = "rgba(0,0,0,0)";
    copy.font = { color: ink, family: getComputedStyle(document.body).fontFamily, size: 12 };
    copy.hoverlabel.bgcolor = colour("--panel");
    copy.hoverlabel.bordercolor = ink;
    copy.hoverlabel.font = { color: ink };
    copy.modebar = { bgcolor: "rgba(0,0,0,0)", color: colour("--muted"), activecolor: ink };
    copy.uirevision = "same"; // another colour scheme does not undo a zoom
    Object.keys(copy).forEach(function (key) {
      if (!/^[xy]axis/.test(key)) return;
      copy[key].gridcolor = copy[key].zerolinecolor = copy[key].linecolor = grid;
      copy[key].fixedrange = key !== "xaxis";
    });
    return copy;
  }

  function draw() {
    Plotly.react(chart, data.traces.map(drawn), layout(), {
      displaylogo: false,
      // By name: some releases of Plotly have one that uploads the chart to its makers.
      modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
      plotlyServerURL: "",
      responsive: true,
      showSendToCloud: false
    }).then(function () {
      // The label of the chart and the tables say it better than some thousand shapes.
      chart.querySelectorAll("svg.main-svg").forEach(function (svg) {
        svg.setAttribute("aria-hidden", "true");
      });
    });
  }

  draw();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
