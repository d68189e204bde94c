// The picture to take away: in its full size, with the boxes and names on it.

const MOST_PIXELS = 16_000_000; // more than this some phones do not draw
const COLOURS = { identified: "#ffffff", unknown: "#d0d0d0", disagree: "#ffc35c" };

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.('[data-take="png"]');
  if (!button) return;
  const picture = button.closest(".picture");
  const blob = await drawn(picture);
  if (blob) save(blob, `${stem(picture)}.png`);
});

function stem(picture) {
  return picture.querySelector("a[download]").download.replace(/\.\w+$/, "");
}

async function drawn(picture) {
  const image = picture.querySelector(".preview img");
  const [width, height] = image ? [image.naturalWidth, image.naturalHeight] : size(picture);
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  if (image) context.drawImage(image, 0, 0, canvas.width, canvas.height);
  for (const box of picture.querySelectorAll(".box")) draw(context, box);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function size(picture) {
  return picture.querySelector(".stage-inner").dataset.size?.split(" ").map(Number) ?? [900, 600];
}

function draw(context, box) {
  const { width, height } = context.canvas;
  const [left, top, wide, high] = box.dataset.box.split(" ").map((share, index) => Number(share) * (index % 2 ? height : width));
  const line = Math.max(2, Math.round(Math.max(width, height) / 400));
  const colour = COLOURS[Object.keys(COLOURS).find((state) => box.classList.contains(state))] ?? "#ffffff";
  context.lineWidth = line * 2;
  context.strokeStyle = "rgb(0 0 0 / 60%)";
  context.strokeRect(left, top, wide, high);
  context.lineWidth = line;
  context.strokeStyle = colour;
  context.strokeRect(left, top, wide, high);
  write(context, box.querySelector(".box-tag").textContent.trim().replace(/\s+/g, " "), left + wide / 2, top + high, line);
}

function write(context, text, middle, below, line) {
  const { width, height } = context.canvas;
  const pixels = Math.max(12, line * 9);
  context.font = `600 ${pixels}px ${getComputedStyle(document.body).fontFamily}`;
  context.textBaseline = "middle";
  const wide = context.measureText(text).width + pixels;
  const high = pixels * 1.5;
  const left = Math.min(Math.max(middle - wide / 2, 0), Math.max(0, width - wide));
  const top = Math.min(below + line * 2, height - high);
  context.fillStyle = "rgb(15 16 22 / 82%)";
  context.fillRect(left, top, wide, high);
  context.fillStyle = "#ffffff";
  context.fillText(text, left + pixels / 2, top + high / 2);
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
