// Charts of the last three minutes, as SVG.

const POINTS = 180;
const WIDTH = 180, HEIGHT = 56;

class Chart {
  // `format` makes a text of a value; a second line is drawn where `names` has two.
  constructor(title, format, names = []) {
    this.format = format;
    this.names = names;
    this.points = [];
    this.value = make("strong", {}, "–");
    this.beside = make("small", {});
    this.most = make("span", {});
    this.when = make("span", {}, "3 min");
    this.svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    this.area = draw("path", { class: "area" });
    this.first = draw("path", { class: "first" });
    this.second = draw("path", { class: "second" });
    this.cursor = draw("line", { class: "cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
    this.svg.append(draw("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }), this.area, this.first,
      this.second, this.cursor);
    this.title = title;
    this.element = make("div", { class: "chart" }, make("h3", {}, title), this.value, this.beside, this.svg,
      make("div", { class: "legend" }, this.most, this.when));
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.leave());
  }

  // points: a list of {at, a, b}
  show(points) {
    this.points = points;
    const most = Math.max(1e-9, ...points.map((p) => Math.max(p.a ?? 0, p.b ?? 0)));
    const x = (i) => WIDTH - points.length + 1 + i;
    const y = (v) => HEIGHT - (v / most) * (HEIGHT - 4);
    const line = (name) => {
      let path = "", is_down = false;
      points.forEach((p, i) => {
        if (p[name] === undefined) is_down = false;
        else {
          path += `${is_down ? "L" : "M"}${x(i)} ${y(p[name]).toFixed(1)}`;
          if (!is_down) path += "h0.01"; // a dot, if nothing follows
          is_down = true;
        }
      });
      return path;
    };
    const first = line("a");
    this.first.setAttribute("d", first);
    this.second.setAttribute("d", this.names.length > 1 ? line("b") : "");
    this.area.setAttribute("d", first && !first.slice(1).includes("M") && points.at(-1).a !== undefined
      ? `${first}L${WIDTH} ${HEIGHT}L${first.slice(1).split(" ")[0]} ${HEIGHT}Z` : "");
    put(this.most, most > 1e-6 ? `top: ${this.format(most)}` : "");
    if (!this.pointed) this.tell(points.length - 1);
  }

  tell(index) {
    const p = this.points[index] ?? {};
    put(this.value, p.a === undefined ? "–" : this.format(p.a));
    put(this.beside, this.names.length > 1 && p.b !== undefined ? `${this.names[1]} ${this.format(p.b)}` : "");
    this.svg.setAttribute("aria-label", `${this.title}: ${this.value.textContent} ${this.beside.textContent}`);
  }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * WIDTH;
    const index = Math.round(at - (WIDTH - this.points.length + 1));
    if (index < 0 || index >= this.points.length) return this.leave();
    this.pointed = true;
    this.cursor.setAttribute("x1", at);
    this.cursor.setAttribute("x2", at);
    this.cursor.setAttribute("visibility", "visible");
    put(this.when, clock(this.points[index].at));
    this.tell(index);
  }

  leave() {
    this.pointed = false;
    this.cursor.setAttribute("visibility", "hidden");
    put(this.when, "3 min");
    this.tell(this.points.length - 1);
  }
}

// The share `part` of what a histogram counted is faster than this: seconds. Its places are half powers of two of a
// microsecond.
function percentile(histogram, part) {
  const total = histogram.reduce((sum, [, n]) => sum + n, 0);
  let left = total * part;
  for (const [place, n] of histogram) {
    left -= n;
    if (left <= 0) return bound(place + 1);
  }
  return undefined;
}

const bound = (place) => (2 ** (place >> 1)) * (place & 1 ? 1.5 : 1) * 1e-6;
