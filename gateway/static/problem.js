// Shows one problem: what happened, which field, how long to wait, and a way on.

export class ProblemBox {
  #box;
  #fields;
  #timer = 0;

  // fields: {name in the API: control on the page}
  constructor(box, fields) {
    this.#box = box;
    this.#fields = fields;
  }

  // action: {label, run} for a button
  show({ title, detail, code, errors = [], retryAfterS = null }, action = null) {
    this.clear();
    const dismiss = element("button", "✕", "quiet icon dismiss");
    dismiss.type = "button";
    dismiss.ariaLabel = "Dismiss";
    dismiss.addEventListener("click", () => this.clear());
    const parts = [dismiss, element("h3", title)];
    if (detail && detail !== title) parts.push(element("p", detail));
    if (errors.length) parts.push(this.#errorList(errors));
    if (retryAfterS !== null) parts.push(this.#countdown(retryAfterS));
    const last = element("p", "", "problem-foot");
    if (action) {
      const button = element("button", action.label, "plain");
      button.type = "button";
      button.addEventListener("click", action.run);
      last.append(button);
    }
    if (code) last.append(element("code", code));
    if (last.childNodes.length) parts.push(last);
    this.#box.replaceChildren(...parts);
    this.#box.hidden = false;
  }

  clear() {
    clearInterval(this.#timer);
    this.#box.hidden = true;
    this.#box.replaceChildren();
    for (const control of Object.values(this.#fields)) control.removeAttribute("aria-invalid");
  }

  #errorList(errors) {
    const list = element("ul");
    for (const { field = "", message = "" } of errors) {
      const item = element("li");
      if (field) item.append(element("code", field), " ");
      item.append(message);
      list.append(item);
      const [name] = String(field).split(/[.[]/);
      this.#fields[name]?.setAttribute("aria-invalid", "true");
    }
    return list;
  }

  #countdown(seconds) {
    const line = element("p", "", "countdown");
    const until = performance.now() + seconds * 1000;
    const tick = () => {
      const left = Math.ceil((until - performance.now()) / 1000);
      line.textContent = left > 0 ? `You can run again in ${left} s.` : "You can run again now.";
      if (left <= 0) clearInterval(this.#timer);
    };
    tick();
    this.#timer = setInterval(tick, 250);
    return line;
  }
}

export function element(name, text = "", className = "") {
  const node = document.createElement(name);
  if (text) node.textContent = text;
  if (className) node.className = className;
  return node;
}
