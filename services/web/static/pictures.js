// A picture's life on the page: it waits its turn, is sent by htmx, fills with each event, and may be tried again.

import { toast } from "/static/toasts.js";
import { renewToken } from "/static/token.js";

const MOST_IN_FLIGHT = 2;
const area = document.getElementById("pictures");
const ask = document.getElementById("ask");
const template = document.getElementById("picture-template");
const byForm = new Map(); // each article's form → what is known of its picture
const NOT_OPTIONS = new Set(["csrf_token", "image", "s3"]);
const LOST = "The connection broke off before the answer was whole. Try again.";
const UNREACHABLE = "Marquee cannot be reached. Check your connection, then try again.";
const ENDED = "Your session has ended. The picture stays here: sign in, then try again.";
let number = 0;
let closeOffline = null;

/**
 * Add articles for pictures, the first on top: each has its `name`, and its `file` or its `address` in S3.
 * They are sent in turn at once; each shows itself when the browser knows how large it is.
 */
export function add(given) {
  const pictures = given.map(made);
  area.prepend(...pictures.map(({ article }) => article));
  for (const picture of pictures) {
    window.htmx.process(picture.article);
    enter(picture, "queued");
  }
  next();
  reveal(pictures);
}

function made({ file, address, name }) {
  number += 1;
  const key = `picture-${number}`;
  const article = renamed(template.content.cloneNode(true).firstElementChild, key);
  const form = article.querySelector("form");
  const picture = { key, article, form, file, address, name };
  byForm.set(form, picture);
  article.hidden = true;
  article.querySelector(".picture-name").textContent = name;
  article.addEventListener("click", (event) => {
    // By the second click of two, another button is in the place of the first.
    if (event.detail < 2) act(picture, event.target.closest("[data-do]")?.dataset.do);
  });
  article.addEventListener("marquee:again", () => again(picture));
  return picture;
}

function renamed(article, key) {
  for (const element of [article, ...article.querySelectorAll("*")]) {
    for (const { name, value } of [...element.attributes]) {
      if (value.includes("picture-0")) element.setAttribute(name, value.replaceAll("picture-0", key));
    }
  }
  return article;
}

/** Return an image of the file, once the browser knows how large it is. */
function preview(file) {
  const image = new Image();
  return new Promise((resolve) => {
    image.addEventListener("load", () => resolve(image));
    image.addEventListener("error", () => resolve(image));
    image.src = URL.createObjectURL(file);
  });
}

/** Show the articles from the top, so that none moves another. */
async function reveal(pictures) {
  const previews = pictures.map(({ file }) => file && preview(file));
  for (const [index, picture] of pictures.entries()) {
    showPreview(picture, await previews[index]);
    picture.article.hidden = false;
  }
}

function showPreview({ key, article, address, name }, image) {
  const slot = article.querySelector(".preview");
  if (image) {
    image.id = `${key}-preview`;
    image.alt = `Your picture ${name}`;
    article.style.setProperty("--ratio", String(image.naturalWidth / image.naturalHeight || 1.5));
    slot.replaceChildren(image);
    return;
  }
  article.dataset.s3 = address;
  const words = document.createElement("p");
  words.className = "no-preview";
  words.textContent = "Read from S3, so there is no preview.";
  slot.replaceChildren(words);
}

const RUNNING = new Set(["queued", "offline", "sending", "recognizing"]); // as in the style sheet
const LOOKING = "Looking…";
const WORDS = {
  queued: "Waiting its turn",
  offline: "Waiting until you are online",
  sending: "Sending…",
  recognizing: "Asking…",
  done: "",
  failed: "Did not work",
  cancelled: "Cancelled",
};

function enter(picture, state) {
  picture.state = state;
  const { article } = picture;
  article.dataset.state = state;
  const [shown, gone] = RUNNING.has(state) ? ["cancel", "again"] : ["again", "cancel"];
  if (document.activeElement === button(article, gone)) button(article, shown).focus({ preventScroll: true });
  tell(picture, WORDS[state]);
  if (!RUNNING.has(state) && headlineOf(picture).textContent === LOOKING) {
    headlineOf(picture).textContent = picture.headline === "Waiting" ? "No answer" : picture.headline;
  }
}

function headlineOf({ article }) {
  return article.querySelector(".headline");
}

function button(article, what) {
  return article.querySelector(`[data-do="${what}"]`);
}

function tell({ article }, words) {
  article.querySelector(".picture-state").textContent = words;
}

function act(picture, what) {
  if (what === "cancel") cancel(picture);
  if (what === "again") again(picture);
  if (what === "remove") remove(picture);
}

function next() {
  const all = [...byForm.values()];
  const running = all.filter(({ state }) => state === "sending" || state === "recognizing").length;
  const waiting = all.filter(({ state }) => state === "queued" || state === "offline");
  for (const picture of waiting.slice(0, Math.max(0, MOST_IN_FLIGHT - running))) send(picture);
}

function send(picture) {
  if (!navigator.onLine) {
    enter(picture, "offline");
    return;
  }
  enter(picture, "sending");
  clearProblem(picture);
  const headline = headlineOf(picture);
  picture.headline = headline.textContent;
  headline.textContent = LOOKING;
  picture.form.requestSubmit();
}

async function again(picture) {
  if (picture.state === "sending" || picture.state === "recognizing") return;
  if (picture.needsToken && !(await renew())) {
    showSignIn(picture);
    return;
  }
  enter(picture, "queued");
  next();
}

function cancel(picture) {
  const wasRunning = picture.state === "sending" || picture.state === "recognizing";
  enter(picture, "cancelled");
  if (wasRunning) window.htmx.trigger(picture.form, "htmx:abort");
  else next();
}

function remove(picture) {
  cancel(picture);
  byForm.delete(picture.form);
  const { article } = picture;
  const neighbour = article.nextElementSibling ?? article.previousElementSibling;
  const url = article.querySelector(".preview img")?.src;
  article.remove();
  if (url) URL.revokeObjectURL(url);
  (neighbour?.querySelector('[data-do="remove"]') ?? document.getElementById("image")).focus();
  next();
}

// What htmx tells of a request.

document.addEventListener("htmx:config:request", (event) => {
  const { ctx } = event.detail;
  const picture = byForm.get(ctx.sourceElement);
  if (!picture) return;
  const { body } = ctx.request;
  for (const [name, value] of new FormData(ask)) {
    if (!NOT_OPTIONS.has(name)) body.append(name, value);
  }
  if (picture.file) body.append("image", picture.file, picture.file.name || "picture");
  else body.append("s3", picture.address);
});

document.addEventListener("htmx:sse:after:connection", (event) => {
  const picture = byForm.get(event.target);
  if (picture) enter(picture, "recognizing");
});

// Of answers that are no events.
document.addEventListener("htmx:before:response", (event) => {
  const { ctx } = event.detail;
  const picture = byForm.get(ctx.sourceElement);
  if (!picture) return;
  const { status } = ctx.response;
  picture.needsToken = status === 401 || status === 403 || status < 400;
  enter(picture, "failed");
  if (status >= 400) return; // the server's words go where hx-status says
  event.preventDefault(); // a page to sign in on, after a redirection
  showSignIn(picture);
});

document.addEventListener("htmx:after:swap", (event) => {
  const picture = byForm.get(event.detail.ctx.sourceElement);
  if (!picture) return;
  if (picture.needsToken) {
    linkSignIn(picture);
    return;
  }
  const { phase, answered, asked } = picture.article.querySelector(".picture-body").dataset;
  picture.phase = phase;
  if (phase === "asking") tell(picture, `${answered} of ${asked} answered`);
});

// The server's last event if it has to stop in the middle.
document.addEventListener("error", (event) => {
  const picture = byForm.get(event.target);
  if (!picture || !event.detail?.data) return;
  try {
    picture.lastWords = String(JSON.parse(event.detail.data).message ?? "");
  } catch {
    picture.lastWords = "";
  }
});

document.addEventListener("htmx:sse:error", (event) => {
  const picture = byForm.get(event.target);
  if (picture?.state !== "recognizing") return;
  enter(picture, "failed");
  showProblem(picture, picture.lastWords || LOST);
  setTimeout(next);
});

document.addEventListener("htmx:error", (event) => {
  const picture = byForm.get(event.detail.ctx?.sourceElement ?? event.target);
  if (!picture || picture.state === "cancelled") return;
  if (!navigator.onLine && picture.state === "sending") {
    enter(picture, "offline");
    return;
  }
  enter(picture, "failed");
  showProblem(picture, UNREACHABLE);
});

document.addEventListener("htmx:finally:request", async (event) => {
  const picture = byForm.get(event.detail.ctx.sourceElement);
  if (!picture) return;
  if (picture.state === "recognizing") {
    const isWhole = picture.phase === "done" || picture.phase === "failed";
    enter(picture, isWhole ? picture.phase : "failed");
    if (!isWhole) showProblem(picture, picture.lastWords || LOST);
  }
  picture.phase = null;
  picture.lastWords = "";
  if (picture.needsToken && !picture.hasRenewed && (await renew())) {
    picture.hasRenewed = true; // once: a second refusal is meant
    enter(picture, "queued");
  } else if (picture.state === "done") {
    picture.hasRenewed = false;
  }
  setTimeout(next); // once htmx has put the request away
});

// Problems that the server cannot tell of.

function problemSlot({ article }) {
  return article.querySelector(".picture-problem");
}

function clearProblem(picture) {
  picture.needsToken = false;
  problemSlot(picture).replaceChildren();
}

function showProblem(picture, words, link = null) {
  const notice = document.createElement("p");
  notice.className = "notice error";
  notice.setAttribute("role", "alert");
  notice.append(words);
  if (link) notice.append(" ", link);
  problemSlot(picture).replaceChildren(notice);
}

function showSignIn(picture) {
  const link = document.createElement("a");
  link.href = "/sign-in";
  link.textContent = "Sign in";
  showProblem(picture, ENDED, link);
  linkSignIn(picture);
}

/** Let people sign in beside the page, so that the picture stays. */
function linkSignIn(picture) {
  for (const link of problemSlot(picture).querySelectorAll('a[href^="/sign-in"]')) {
    link.target = "_blank";
    if (!link.textContent.includes("tab")) link.append(" (in a new tab)");
  }
}

/** Use the token of now. Return whether it is another one, as after signing in again. */
async function renew() {
  const token = await renewToken();
  if (token === undefined) return false;
  for (const form of [...byForm.keys(), template.content.querySelector("form")]) {
    form.setAttribute("hx-headers", JSON.stringify({ "X-CSRF-Token": token }));
    form.elements.csrf_token.value = token;
  }
  return true;
}

// Back from signing in elsewhere, or back online.

document.addEventListener("visibilitychange", async () => {
  if (document.hidden) return;
  const locked = [...byForm.values()].filter(({ state, needsToken }) => state === "failed" && needsToken);
  if (!locked.length || !(await renew())) return;
  for (const picture of locked) enter(picture, "queued");
  next();
});

function offline() {
  closeOffline ??= toast("You are offline. Pictures wait here until you are back.", "info");
}

addEventListener("offline", offline);
addEventListener("online", () => {
  closeOffline?.();
  closeOffline = null;
  next();
});
if (!navigator.onLine) offline();
