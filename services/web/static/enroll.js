// Enrolling: cuts a face out of a picture on the first page and opens the window; shows what was chosen on the page.

import { cut } from "/static/crop.js";
import { renewToken } from "/static/token.js";

const MOST_BYTES = 16 * 1024 * 1024;
const MOST_PIXELS = 1600;
const MOST_LOSSLESS = 1024 * 1024;
const $ = (id) => document.getElementById(id);
const form = $("enroll-form");
const result = $("enroll-result");
let article = null;
let face = null;
let isLocked = false;

const numbers = (text) => text.split(" ").map(Number);

async function draw(image, face, others) {
  const part = cut(face, others);
  const { naturalWidth: width, naturalHeight: height } = image;
  const [left, top] = [Math.floor(part.left * width), Math.floor(part.top * height)];
  const size = [Math.ceil(part.right * width) - left, Math.ceil(part.bottom * height) - top];
  const scale = Math.min(1, MOST_PIXELS / Math.max(...size));
  const canvas = $("enroll-crop");
  [canvas.width, canvas.height] = size.map((side) => Math.max(1, Math.round(side * scale)));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, left, top, ...size, 0, 0, canvas.width, canvas.height);
  // Compressing again blurs, and a blurred face is refused; only a large one can bear it.
  const type = canvas.width * canvas.height > MOST_LOSSLESS ? "image/jpeg" : "image/png";
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, type, 0.95));
  return new File([blob], "face", { type });
}

async function open(link) {
  const dialog = $("enroll");
  article = link.closest("article");
  face = document.querySelector(`[popovertarget="${link.closest("[popover]")?.id}"]`);
  const image = $(`${link.dataset.enroll}-preview`);
  const s3 = article?.dataset.s3 ?? "";
  const all = [...(article ?? document).querySelectorAll(".boxes [data-box]")];
  const others = all.filter((one) => one.dataset.box !== link.dataset.cut).map((one) => numbers(one.dataset.box));
  const files = new DataTransfer();
  if (image?.naturalWidth) files.items.add(await draw(image, numbers(link.dataset.cut), others));
  $("enroll-file").files = files.files;
  $("enroll-crop").hidden = !files.files.length;
  $("enroll-s3").value = s3;
  $("enroll-s3").disabled = Boolean(files.files.length);
  $("enroll-note").textContent = files.files.length ? "" : "The whole picture is sent, and it must show this face alone.";
  $("enroll-name").value = link.dataset.name;
  result.replaceChildren();
  dialog.showModal();
  $("enroll-name").focus();
  $("enroll-name").select();
}

function preview(input) {
  const total = [...input.files].reduce((sum, file) => sum + file.size, 0);
  const problem = input.files.length > 32 ? "That is more than 32 pictures." : total > MOST_BYTES ? "That is more than 16 MB in all." : "";
  $("enroll-pictures-error").textContent = problem;
  $("enroll-pictures-error").hidden = !problem;
  input.setCustomValidity(problem);
  input.setAttribute("aria-invalid", String(Boolean(problem)));
  const list = $("enroll-previews");
  for (const image of list.querySelectorAll("img")) URL.revokeObjectURL(image.src);
  list.replaceChildren(...[...input.files].map((file) => {
    const item = document.createElement("li");
    const image = new Image();
    image.alt = file.name;
    image.src = URL.createObjectURL(file);
    item.append(image);
    return item;
  }));
}

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-enroll], #enroll [data-close], #enroll [data-again]");
  if (!target || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (target.dataset.enroll !== undefined) {
    if (!$("enroll")) return;
    event.preventDefault();
    open(target);
  } else if (target.dataset.close !== undefined) {
    $("enroll").close();
  } else {
    event.preventDefault();
    $("enroll").close();
    article?.dispatchEvent(new CustomEvent("marquee:again", { bubbles: true }));
  }
});

// What the gate offered goes for the name that it was offered for.
$("enroll-name")?.addEventListener("input", () => result.replaceChildren());
$("enroll-pictures")?.addEventListener("change", (event) => preview(event.target));
document.addEventListener("htmx:after:swap", () => result?.firstElementChild?.scrollIntoView({ block: "nearest" }));
document.addEventListener("htmx:before:response", ({ detail: { ctx } }) => {
  if (ctx.target === result) isLocked = [401, 403].includes(ctx.response.status);
});
// Back from signing in elsewhere.
document.addEventListener("visibilitychange", async () => {
  if (!document.hidden && isLocked && (await renewToken())) result.replaceChildren();
});
// The window that it was opened from is gone by then.
$("enroll")?.addEventListener("close", () => face?.focus());
form?.addEventListener("htmx:error", () => {
  const notice = document.createElement("p");
  notice.className = "notice error";
  notice.textContent = "The server cannot be reached. Check your connection and try again.";
  result.replaceChildren(notice);
});
