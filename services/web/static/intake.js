// Ways in for pictures: the file field, dropping, pasting, and an address in S3. What cannot work is refused at once.

import { add } from "/static/pictures.js";
import { clear, toast } from "/static/toasts.js";

const MOST_BYTES = 15 * 1024 * 1024;
const MOST_PICTURES = 50;
const form = document.getElementById("ask");
const field = document.getElementById("image");
const capture = document.getElementById("capture");
const address = document.getElementById("s3");
const veil = document.getElementById("drop");
const READABLE = new Set(["JPEG", "PNG", "WEBP"]);
const S3 = /^s3:\/\/[^/\s]+\/\S/;

/** Take in files: those that are pictures become articles, the others are refused in words. */
export async function take(files) {
  clear();
  foldIn();
  if (files.length > MOST_PICTURES) toast(`Only the first ${MOST_PICTURES} of ${files.length} pictures are taken.`, "warning");
  const pictures = [...files].slice(0, MOST_PICTURES);
  const words = await Promise.all(pictures.map(refusal));
  for (const one of words.filter(Boolean)) toast(one);
  add(pictures.filter((_, index) => !words[index]).map((file) => ({ file, name: file.name || "Pasted picture" })));
}

async function refusal(file) {
  const name = file.name || "This picture";
  if (!file.size) return `${name} is empty, or a folder.`;
  if (file.size > MOST_BYTES) return `${name} is too large: it has ${(file.size / 1024 / 1024).toFixed(1)} MB, and 15 MB is the most.`;
  const head = await file.slice(0, 12).arrayBuffer().catch(() => null);
  if (!head) return `${name} cannot be read. Is it a folder? Then drop the pictures in it.`;
  if (isPicture(new Uint8Array(head))) return "";
  const kind = file.type.startsWith("image/") ? file.type.slice(6).split(/[+;]/)[0].toUpperCase() : "";
  if (!kind || READABLE.has(kind)) return `${name} is not a picture. Take JPEG, PNG or WebP.`;
  return `${name} is of the kind ${kind}, which does not work here. Take JPEG, PNG or WebP.`;
}

function isPicture(head) {
  const text = String.fromCharCode(...head);
  return text.startsWith("\xff\xd8\xff") || text.startsWith("\x89PNG\r\n") || (text.startsWith("RIFF") && text.slice(8) === "WEBP");
}

function foldIn() {
  for (const open of form.querySelectorAll("details[open]")) open.open = false;
}

function takeAddress(text) {
  clear();
  if (S3.test(text)) foldIn();
  if (S3.test(text)) add([{ address: text, name: text }]);
  else toast(text ? `${text} is no address of a picture such as s3://bucket/picture.jpg.` : "Choose a picture first, or give its address in S3.");
  return S3.test(text);
}

field.multiple = true;
for (const input of [field, capture]) {
  input.addEventListener("change", async () => {
    const files = [...input.files];
    input.value = "";
    await take(files);
  });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!takeAddress(address.value.trim())) return;
  address.value = "";
});

// What folds out over the page goes away again by Escape, which leads back to its button, and by a press elsewhere.
form.addEventListener("keydown", (event) => {
  const open = form.querySelector("details[open]");
  if (event.key !== "Escape" || !open) return;
  open.open = false;
  open.querySelector("summary").focus();
});
document.addEventListener("pointerdown", (event) => {
  for (const open of form.querySelectorAll("details[open]")) open.open = open.contains(event.target);
});

const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
let depth = 0; // dragenter and dragleave come for every element on the way

function veiled(shown) {
  depth = shown ? depth : 0;
  veil.hidden = !shown;
}

addEventListener("dragenter", (event) => {
  if (!hasFiles(event)) return;
  depth += 1;
  veiled(true);
});
addEventListener("dragover", (event) => {
  if (!hasFiles(event) && !event.dataTransfer?.types.includes("text/uri-list")) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
});
addEventListener("dragleave", (event) => {
  if (hasFiles(event) && --depth <= 0) veiled(false);
});
addEventListener("drop", (event) => {
  veiled(false);
  if (event.target instanceof HTMLInputElement && event.target.type !== "file") return;
  if (event.dataTransfer.files.length) {
    event.preventDefault();
    take(event.dataTransfer.files);
  } else if (event.dataTransfer.types.includes("text/uri-list")) {
    event.preventDefault();
    toast("Only pictures on this device can be dropped. Save that one first.");
  }
});

addEventListener("paste", (event) => {
  const files = event.clipboardData?.files ?? [];
  const text = event.clipboardData?.getData("text/plain").trim() ?? "";
  if (files.length) {
    event.preventDefault();
    take(files);
  } else if (!event.target.closest?.("input, textarea") && S3.test(text)) {
    takeAddress(text);
  }
});
