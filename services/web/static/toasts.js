// Short messages at the foot of the window, which move nothing on the page.

const template = document.getElementById("toast-template");
const area = document.getElementById("toasts");

/** Show the text until somebody dismisses it, or until the function that this returns is called. */
export function toast(text, kind = "error") {
  const element = template.content.cloneNode(true).firstElementChild;
  element.classList.add(kind);
  element.firstElementChild.textContent = text;
  const close = () => element.remove();
  element.querySelector("button").addEventListener("click", () => {
    const neighbour = element.nextElementSibling ?? element.previousElementSibling;
    close();
    (neighbour?.querySelector("button") ?? document.getElementById("main")).focus({ preventScroll: true });
  });
  area.append(element);
  return close;
}

/** Take away all messages about what somebody did; those of the kind "info" are about how things are. */
export function clear() {
  for (const element of area.querySelectorAll(".toast:not(.info)")) element.remove();
}
