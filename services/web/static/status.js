// The status page: shows times as the visitor's clock has them, rests while nobody looks, and says when nothing comes.

const recognizers = document.getElementById("recognizers");
const notice = document.getElementById("page-away");
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function localize() {
  for (const time of recognizers.querySelectorAll("time")) time.textContent = clock.format(new Date(time.dateTime));
}

function note(away) {
  notice.hidden = !away;
  document.getElementById("status-cards")?.classList.toggle("stale", away);
}

recognizers.addEventListener("htmx:before:request", (event) => {
  if (document.hidden) event.preventDefault();
});
recognizers.addEventListener("htmx:error", () => note(true));
recognizers.addEventListener("htmx:after:request", () => note(false));
recognizers.addEventListener("htmx:after:swap", localize);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) recognizers.dispatchEvent(new Event("wake"));
});
localize();
