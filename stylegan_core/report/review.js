"use strict";

// One viewer: two stacked canvases, of which the upper one is clipped at the wipe.
class Viewer {
  constructor(root) {
    this.root = root;
    this.frames = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    this.screen = root.querySelector(".screen");
    this.stage = root.querySelector(".stage");
    this.scrubber = root.querySelector(".frame");
    this.wiper = root.querySelector(".wipe");
    this.playing = root.querySelector(".play");
    this.thumbnails = [...root.closest(".shot").querySelectorAll(".contact button")];
    this.against = "original";
    this.zoom = "fit";
    this.index = 0;
    this.cache = new Map();
    this.connect();
    this.wipe(50);
    this.layout();
    this.show(0);
  }

  connect() {
    this.scrubber.addEventListener("input", () => { this.stop(); this.show(Number(this.scrubber.value)); });
    this.wiper.addEventListener("input", () => this.wipe(Number(this.wiper.value)));
    this.playing.addEventListener("click", () => (this.timer ? this.stop() : this.play()));
    for (const input of this.root.querySelectorAll(".against input"))
      input.addEventListener("change", () => { this.against = input.value; this.show(this.index); });
    for (const input of this.root.querySelectorAll(".zoom input"))
      input.addEventListener("change", () => { this.zoom = input.value; this.layout(); });
    this.thumbnails.forEach((button, i) => button.addEventListener("click", () => { this.stop(); this.show(i); }));
    const follow = (event) => {
      const box = this.stage.getBoundingClientRect();
      this.wipe((100 * (event.clientX - box.left)) / box.width);
    };
    this.stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.stage.setPointerCapture(event.pointerId);
      follow(event);
    });
    this.stage.addEventListener("pointermove", (event) => {
      if (this.stage.hasPointerCapture(event.pointerId)) follow(event);
    });
    new ResizeObserver(() => this.layout()).observe(this.root);
    addEventListener("resize", () => this.layout());
  }

  // The picture fills the width, but never more than two thirds of the window's height, in "fit".
  layout() {
    const aspect = Number(this.root.dataset.aspect);
    const natural = Number(this.root.dataset.width);
    const room = Math.min(this.root.clientWidth, innerHeight * 0.68 * aspect);
    const width = this.zoom === "fit" ? room : natural * Number(this.zoom);
    if (width <= 0) return; // hidden behind another tab
    this.stage.style.width = `${width}px`;
    this.stage.style.height = `${width / aspect}px`;
    this.stage.classList.toggle("crisp", this.zoom !== "fit" && this.zoom !== "1");
  }

  picture(index, kind) {
    const source = this.frames[index][kind];
    if (!source) return null;
    const key = `${index} ${kind}`;
    if (!this.cache.has(key)) {
      const image = new Image();
      image.src = source;
      this.cache.set(key, image.decode().then(() => image));
    }
    return this.cache.get(key);
  }

  async show(index) {
    this.index = Math.min(Math.max(index, 0), this.frames.length - 1);
    const frame = this.frames[this.index];
    const kind = frame[this.against] ? this.against : "original";
    const names = { original: "Input", truth: frame.key ? "Painter (key frame)" : "Painter" };
    const turn = (this.turn = (this.turn || 0) + 1);
    this.scrubber.value = this.index;
    this.scrubber.setAttribute("aria-valuetext", `frame ${frame.number}${frame.key ? ", key frame" : ""}`);
    const [result, other] = await Promise.all([this.picture(this.index, "result"), this.picture(this.index, kind)]);
    if (turn !== this.turn) return; // a later frame was requested meanwhile
    draw(this.root.querySelector(".under"), result, `Stylized frame ${frame.number}`);
    draw(this.root.querySelector(".over"), other, `${names[kind]}, frame ${frame.number}`);
    const missing = this.against === "truth" && kind !== "truth";
    this.root.querySelector(".pill.left").textContent = missing ? "Input (no painting of this frame)" : names[kind];
    const where = this.root.querySelector(".where");
    where.textContent = `${frame.number}`;
    where.title = frame.label;
    if (frame.key) where.append(Object.assign(document.createElement("b"), { textContent: "key frame" }));
    this.root.querySelector(".numbers").textContent = frame.figures;
    this.root.dataset.shown = this.index;
    this.thumbnails.forEach((button, i) => button.setAttribute("aria-current", String(i === this.index)));
    const next = (this.index + 1) % this.frames.length; // decoded ahead, so that playing does not stutter
    this.picture(next, "result");
    this.picture(next, this.frames[next][this.against] ? this.against : "original");
  }

  wipe(percent) {
    this.split = Math.min(Math.max(percent, 0), 100);
    this.wiper.value = this.split;
    this.wiper.setAttribute("aria-valuetext", `${Math.round(this.split)} percent of the other side`);
    this.stage.style.setProperty("--wipe", `${this.split}%`);
    this.root.querySelector(".pill.left").style.opacity = this.split < 14 ? 0 : 1;
    this.root.querySelector(".pill.right").style.opacity = this.split > 86 ? 0 : 1;
  }

  flip(on) {
    this.stage.classList.toggle("flipped", on);
    this.stage.style.setProperty("--wipe", on ? "100%" : `${this.split}%`);
  }

  play() {
    const pause = 1000 / Number(this.root.dataset.rate);
    this.timer = setInterval(() => this.show((this.index + 1) % this.frames.length), pause);
    this.playing.setAttribute("aria-pressed", "true");
    this.playing.setAttribute("aria-label", "Pause");
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.playing.setAttribute("aria-pressed", "false");
    this.playing.setAttribute("aria-label", "Play");
  }

  key(event) {
    const far = event.shiftKey ? 10 : 1;
    const last = this.frames.length - 1;
    const moves = { ArrowLeft: this.index - far, ArrowRight: this.index + far, Home: 0, End: last };
    if (event.key in moves) { this.stop(); this.show(moves[event.key]); }
    else if (event.key === " ") { if (this.timer) this.stop(); else this.play(); }
    else if (event.key === "o" || event.key === "O") this.flip(true);
    else return;
    event.preventDefault();
  }
}

function draw(canvas, image, label) {
  if (canvas.width !== image.naturalWidth) canvas.width = image.naturalWidth;
  if (canvas.height !== image.naturalHeight) canvas.height = image.naturalHeight;
  canvas.getContext("2d").drawImage(image, 0, 0);
  canvas.setAttribute("aria-label", label);
}

const viewers = [...document.querySelectorAll(".viewer")].map((root) => new Viewer(root));
const shown = () => viewers.find((viewer) => !viewer.root.closest(".shot").hidden);

// Keys work wherever nothing else wants them: not in a control that has its own use for arrows.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, button, a, video, select, textarea, [role='tab']")) return;
  shown()?.key(event);
});
document.addEventListener("keyup", (event) => {
  if (event.key === "o" || event.key === "O") viewers.forEach((viewer) => viewer.flip(false));
});

// Tabs, one a shot.
const tabs = [...document.querySelectorAll("[role='tab']")];
function choose(tab, focus) {
  for (const other of tabs) {
    const on = other === tab;
    other.setAttribute("aria-selected", String(on));
    other.tabIndex = on ? 0 : -1;
    document.getElementById(other.getAttribute("aria-controls")).hidden = !on;
  }
  viewers.forEach((viewer) => { viewer.stop(); viewer.layout(); });
  if (focus) tab.focus();
}
tabs.forEach((tab, i) => {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) choose(tabs[(i + step + tabs.length) % tabs.length], true);
  });
});
if (tabs.length) choose(tabs[0]);

// Values under the pointer, read back from the drawn lines.
for (const chart of document.querySelectorAll(".chart")) {
  const [left, right, foot, top] = chart.dataset.box.split(",").map(Number);
  const [xLow, xHigh, yLow, yHigh] = chart.dataset.ranges.split(",").map(Number);
  const lines = [...chart.querySelectorAll(".line")].map((line) => [...line.points]);
  const outputs = [...chart.closest("figure").querySelectorAll(".legend output")];
  const last = outputs.map((output) => output.textContent);
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
  cursor.setAttribute("class", "cursor");
  chart.addEventListener("pointermove", (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse()).x;
    if (at < left || at > right) return;
    lines.forEach((points, i) => {
      const near = points.reduce((a, b) => (Math.abs(b.x - at) < Math.abs(a.x - at) ? b : a));
      const value = yLow + ((foot - near.y) / (foot - top)) * (yHigh - yLow);
      const x = xLow + ((near.x - left) / (right - left)) * (xHigh - xLow);
      outputs[i].textContent = `${Number(value.toPrecision(3))} at ${Math.round(x)}`;
    });
    for (const [name, value] of Object.entries({ x1: at, x2: at, y1: top, y2: foot })) cursor.setAttribute(name, value);
    chart.append(cursor);
  });
  chart.addEventListener("pointerleave", () => {
    cursor.remove();
    outputs.forEach((output, i) => { output.textContent = last[i]; });
  });
}

// Light, dark, or as the system has it.
const theme = document.querySelector(".theme");
const schemes = ["", "light", "dark"];
theme.addEventListener("click", () => {
  const root = document.documentElement;
  const next = schemes[(schemes.indexOf(root.dataset.scheme || "") + 1) % schemes.length];
  if (next) root.dataset.scheme = next;
  else delete root.dataset.scheme;
  theme.textContent = { "": "◐", light: "○", dark: "●" }[next];
  theme.setAttribute("aria-label", `Colour scheme: ${next || "automatic"}`);
});

for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    const code = button.previousElementSibling;
    getSelection().selectAllChildren(code); // a page from a disk may not write to the clipboard: then it is selected
    try { await navigator.clipboard.writeText(button.dataset.copy); button.textContent = "copied"; } catch { button.textContent = "selected"; }
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
}
