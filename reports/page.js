// What the page gains from a script: a theme, copying, keys, and zoom shared by all charts over time. Without it everything is still there.
(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const data = JSON.parse(document.getElementById("data").textContent);
  all("button[hidden], .script-only").forEach((part) => { part.hidden = false; });

  // Theme: follows the system until told otherwise; forgotten with the page.
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  // Copying: the clipboard is not given to pages from a file, so a selection is the fallback.
  all("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      getSelection().selectAllChildren(source);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }));

  // Folded findings: open for whoever is led to them; on paper all but logs is open, also where the style sheet cannot open it.
  const unfold = () => {
    const part = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    const fold = part && part.closest("details");
    if (!fold || fold.open) return;
    fold.open = true;
    part.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  unfold();
  let unfolded = [];
  addEventListener("beforeprint", () => {
    unfolded = all("details:not(.log):not([open])");
    unfolded.forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => unfolded.forEach((part) => { part.open = false; }));

  // Findings: j and k.
  const findings = all(".finding");
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !findings.length || !["j", "k"].includes(event.key)) return;
    const here = findings.findIndex((finding) => `#${finding.id}` === location.hash);
    const next = event.key === "j" ? Math.min(here + 1, findings.length - 1) : Math.max(here - 1, 0);
    location.hash = findings[next].id;
    unfold();
    findings[next].focus({ preventScroll: true });
  });

  // Zoom: one window on the run, shares of its length; a plot's viewBox is all that changes.
  const wide = 10000;
  const charts = all("figure[data-time]").map((figure) => ({
    figure,
    box: figure.querySelector(".box"),
    plot: figure.querySelector(".plot"),
    ticks: figure.querySelector(".xs"),
    whole: figure.querySelector(".xs").innerHTML,
    cursor: add(figure.querySelector(".box"), "cursor"),
    chosen: add(figure.querySelector(".box"), "chosen"),
  }));
  const view = { from: 0, to: 1 };

  function add(parent, name) {
    const part = document.createElement("div");
    part.className = name;
    part.hidden = true;
    return parent.appendChild(part);
  }

  function show(from, to) {
    const length = Math.min(1, Math.max(to - from, 2e-4));
    const start = Math.min(Math.max(from, 0), 1 - length);
    Object.assign(view, { from: start, to: start + length });
    for (const { figure, plot, ticks, whole, box } of charts) {
      plot.setAttribute("viewBox", `${start * wide} 0 ${length * wide} ${wide}`);
      figure.dataset.from = start.toFixed(6);
      figure.dataset.to = (start + length).toFixed(6);
      if (length === 1) ticks.innerHTML = whole;
      else ticks.replaceChildren(...tickLabels(Math.max(3, Math.floor(box.clientWidth / 90))));
    }
  }

  function tickLabels(most) {
    const low = view.from * data.span_s;
    const high = view.to * data.span_s;
    const raw = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= raw);
    const digits = Math.max(0, -Math.floor(Math.log10(step)));
    const labels = [];
    for (let number = Math.ceil(low / step); number * step <= high; number += 1) {
      const label = document.createElement("span");
      label.style.left = `${((number * step - low) / (high - low)) * 100}%`;
      label.textContent = `${(number * step).toFixed(digits)}s`;
      labels.push(label);
    }
    return labels;
  }

  const moves = {
    in: () => grow(0.5),
    out: () => grow(2),
    left: () => move(-0.25),
    right: () => move(0.25),
    all: () => show(0, 1),
  };
  function grow(factor) {
    const middle = (view.from + view.to) / 2;
    const half = ((view.to - view.from) / 2) * factor;
    show(middle - half, middle + half);
  }
  function move(share) {
    const by = (view.to - view.from) * share;
    show(view.from + by, view.to + by);
  }
  all("[data-zoom]").forEach((button) => button.addEventListener("click", moves[button.dataset.zoom]));
  all("[data-go]").forEach((button) => button.addEventListener("click", () => {
    show(Number(button.dataset.from), Number(button.dataset.to));
    location.hash = button.dataset.go;
  }));

  const keys = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", Escape: "all" };
  for (const { box, chosen, figure } of charts) {
    let start = null;
    const share = (event) => {
      const place = box.getBoundingClientRect();
      return Math.min(1, Math.max(0, (event.clientX - place.left) / place.width));
    };
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", `${figure.querySelector("h4").textContent}: plus and minus zoom, arrows move, escape shows the whole run`);
    box.addEventListener("keydown", (event) => {
      if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      moves[keys[event.key]]();
    });
    box.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      start = share(event);
      box.setPointerCapture(event.pointerId);
    });
    box.addEventListener("pointermove", (event) => {
      const here = share(event);
      point(here);
      if (start === null) return;
      chosen.hidden = false;
      chosen.style.left = `${Math.min(start, here) * 100}%`;
      chosen.style.width = `${Math.abs(here - start) * 100}%`;
    });
    box.addEventListener("pointerup", (event) => {
      const [low, high] = [start, share(event)].sort((a, b) => a - b);
      const length = view.to - view.from;
      if (start !== null && high - low > 0.01) show(view.from + low * length, view.from + high * length);
      start = null;
      chosen.hidden = true;
    });
    box.addEventListener("pointercancel", () => { start = null; chosen.hidden = true; });
    box.addEventListener("pointerleave", () => charts.forEach(({ cursor }) => { cursor.hidden = true; }));
    box.addEventListener("dblclick", () => show(0, 1));
  }

  // The numbers of the moment under the pointer.
  const readout = document.getElementById("readout");
  const length = (ns) => {
    if (ns === null) return "–";
    const [unit, size] = [["s", 1e9], ["ms", 1e6], ["us", 1e3], ["ns", 1]].find(([, each]) => ns >= each) ?? ["ms", 1e6];
    return `${Number((ns / size).toPrecision(3))}${unit}`;
  };
  const rate = (value) => (value === null ? "–" : Number(value.toPrecision(3)).toLocaleString("en"));
  function point(share) {
    charts.forEach(({ cursor }) => { cursor.hidden = false; cursor.style.left = `${share * 100}%`; });
    const moment = view.from + share * (view.to - view.from);
    const pick = (columns, write) => Object.entries(columns).map(([name, values]) => {
      const bin = Math.min(values.length - 1, Math.floor(moment * values.length));
      return `${name} ${write(values[bin])}`;
    });
    const on = data.episodes.filter((episode) => episode.from <= moment && moment <= episode.to).map((episode) => episode.name);
    readout.textContent = [
      `${(moment * data.span_s).toFixed(3)}s`,
      ...pick(data.ages_ns, length), ...pick(data.rates, rate), ...pick(data.times_ns, length), ...on,
    ].join(" · ");
  }
})();
