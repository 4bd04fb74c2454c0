// Sixty bars, one a second, the newest on the right.

const NAMESPACE = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 48;
const GAP = 1.4;
const LEAST = 2; // a bar that is there can be seen

export class Chart {
  #svg;
  #most;
  #title;
  #describe;
  #bars = [];

  // describe(most): what the highest bar stands for
  constructor(svg, most, title, describe) {
    this.#svg = svg;
    this.#most = most;
    this.#title = title;
    this.#describe = describe;
  }

  draw(values) {
    const most = Math.max(0, ...values.map((value) => value ?? 0));
    const step = WIDTH / values.length;
    while (this.#bars.length < values.length) {
      const bar = document.createElementNS(NAMESPACE, "rect");
      bar.setAttribute("rx", "1");
      this.#bars.push(bar);
      this.#svg.append(bar);
    }
    values.forEach((value, index) => {
      const height = value ? Math.max(LEAST, ((value / most) * HEIGHT)) : 0;
      const bar = this.#bars[index];
      bar.setAttribute("x", (index * step).toFixed(2));
      bar.setAttribute("width", (step - GAP).toFixed(2));
      bar.setAttribute("y", (HEIGHT - height).toFixed(2));
      bar.setAttribute("height", height.toFixed(2));
    });
    const words = most ? this.#describe(most) : "";
    this.#most.textContent = words;
    this.#svg.setAttribute("aria-label", `${this.#title} in each of the last 60 seconds: ${words || "none"}`);
  }
}
