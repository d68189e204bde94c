// Recognizes a picture over HTTP with the client that OpenAPI generates, and prints each result as it comes.
//
//   npx openapi-ts
//   MARQUEE_TOKEN=mq_… node recognize.ts http://localhost:8080 picture.jpg
import { openAsBlob } from "node:fs";
import { argv, env, exit } from "node:process";
import { recognizeFile, recognizeImage, streamRecognizeFile } from "./generated/index.ts";
import { client } from "./generated/client.gen.ts";

const [, , address, path] = argv;
if (!path) {
  console.error("Name the server and one picture: node recognize.ts http://HOST:PORT picture.jpg");
  exit(2);
}
client.setConfig({ baseUrl: address, auth: env.MARQUEE_TOKEN });
const image = await openAsBlob(path);

// The whole answer at once.
const { data, error } = await recognizeFile({ body: { image }, query: { max_labels: 5 } });
if (error) {
  const reason = error.details?.[0]?.debug?.reason;
  // Without a code the server did not answer at all.
  console.error(error.code ? `${error.code} (${reason}): ${error.message}` : `${address}: ${error.message}`);
  exit(1);
}
for (const { state, displayName, score } of data.verdicts ?? []) {
  console.log(...[state, displayName, score?.toFixed(2)].filter(Boolean));
}

// The same as JSON, the picture in base64, as all other methods take it.
const content = Buffer.from(await image.arrayBuffer()).toString("base64");
const again = await recognizeImage({ body: { image: { content }, requestId: data.requestId }, throwOnError: true });
console.log(again.data.requestId === data.requestId ? "the same request" : "another request");

// Each recognizer's result as soon as it is there.
const { stream } = await streamRecognizeFile({ body: { image } });
for await (const { results } of stream) {
  for (const { recognizer, outcome } of results ?? []) console.log(recognizer, outcome);
}
