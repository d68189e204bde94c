// Boxes on a picture: where they are, how keys walk them, and what lights up with what.

const KEYS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** Put everything in `root` that has a place on the picture there. Styles are set here, since the page's policy allows no attributes. */
function arrange(root) {
  for (const element of root.querySelectorAll(".box, .mark")) {
    const [left, top, width, height] = element.dataset.box.split(" ").map((share) => `${Number(share) * 100}%`);
    Object.assign(element.style, { left, top, width, height });
  }
  for (const element of root.querySelectorAll("[data-size]:has(.no-preview)")) {
    const [width, height] = element.dataset.size.split(" ").map(Number);
    element.style.setProperty("--ratio", String(width / height));
  }
}

function walk(event) {
  const box = event.target.closest?.(".box");
  if (!box) return;
  const boxes = [...box.closest(".boxes").querySelectorAll(".box")];
  const index = boxes.indexOf(box);
  const target = event.key in KEYS ? boxes[index + KEYS[event.key]] : { Home: boxes[0], End: boxes.at(-1) }[event.key];
  if (target) {
    document.querySelector(".face-details:popover-open")?.hidePopover();
    target.focus();
  }
  if (target || event.key in KEYS) event.preventDefault();
  if (event.key === "Escape" && !document.querySelector(":popover-open")) {
    box.closest(".picture-body").querySelector(".headline").focus();
  }
}

/** Light up all that is about the same face or label as the element, and nothing else in its picture. */
function light(event) {
  const element = event.target.closest?.("[data-face], [data-shows]");
  const picture = (element ?? event.target).closest?.(".picture");
  if (!picture) return;
  for (const lit of picture.querySelectorAll("[data-live-lit]")) lit.removeAttribute("data-live-lit");
  if (!element || event.type === "mouseout" || event.type === "focusout") return;
  const [name, value] = element.dataset.face ? ["face", element.dataset.face] : ["shows", element.dataset.shows];
  for (const one of picture.querySelectorAll(`[data-${name}="${CSS.escape(value)}"]`)) one.setAttribute("data-live-lit", "");
}

function pin(event) {
  const button = event.target.closest?.("button[data-shows]");
  if (!button) return;
  const pressed = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(pressed));
  for (const mark of button.closest(".picture").querySelectorAll(`.mark[data-shows="${CSS.escape(button.dataset.shows)}"]`)) {
    mark.toggleAttribute("data-live-pinned", pressed);
  }
}

document.addEventListener("keydown", walk);
for (const type of ["mouseover", "mouseout", "focusin", "focusout"]) document.addEventListener(type, light);
document.addEventListener("click", pin);
document.addEventListener("htmx:after:swap", (event) => arrange(event.detail.ctx.sourceElement.closest?.(".picture") ?? document));
arrange(document);
