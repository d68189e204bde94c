// The camera: in a window of the page where the browser allows it, else by the device's own app.

import { take } from "/static/intake.js";

const dialog = document.getElementById("camera");
const video = document.getElementById("camera-video");
const problem = document.getElementById("camera-problem");
const capture = document.getElementById("capture");
const [turn, shoot] = ["turn", "shoot"].map((name) => dialog.querySelector(`[data-do="${name}"]`));
const PROBLEMS = {
  NotAllowedError: "The browser does not let this page use the camera. Allow it beside the address, then open this again.",
  NotFoundError: "There is no camera.",
  NotReadableError: "Another program uses the camera.",
};
let facing = "environment";
let stream = null;

async function start() {
  stop();
  problem.hidden = true;
  shoot.disabled = true;
  try {
    const wanted = { video: { facingMode: facing, width: { ideal: 1920 }, height: { ideal: 1440 } } };
    const opened = await navigator.mediaDevices.getUserMedia(wanted);
    if (!dialog.open) {
      opened.getTracks().forEach((track) => track.stop());
      return;
    }
    stream = opened;
    video.srcObject = stream;
    await video.play();
    shoot.disabled = false;
    const devices = await navigator.mediaDevices.enumerateDevices();
    turn.hidden = devices.filter(({ kind }) => kind === "videoinput").length < 2;
  } catch (error) {
    if (error.name === "AbortError") return; // closed meanwhile
    problem.textContent = PROBLEMS[error.name] ?? "The camera does not work.";
    problem.hidden = false;
  }
}

function stop() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  video.srcObject = null;
}

async function snap() {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
  const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
  dialog.close();
  await take([new File([blob], `camera-${time}.jpg`, { type: "image/jpeg" })]);
}

document.getElementById("camera-open").addEventListener("click", () => {
  if (!navigator.mediaDevices?.getUserMedia) {
    capture.click();
    return;
  }
  dialog.showModal();
  start();
});
dialog.addEventListener("click", (event) => {
  const what = event.target.closest("[data-do]")?.dataset.do;
  if (what === "close") dialog.close();
  if (what === "shoot") snap();
  if (what === "turn") {
    facing = facing === "user" ? "environment" : "user";
    start();
  }
});
dialog.addEventListener("close", stop);
