// Asks Amazon Rekognition, or the local endpoint, for the celebrities and the faces of a picture.
//
//   AWS_ENDPOINT_URL_REKOGNITION=http://127.0.0.1:9000 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \
//   AWS_REGION=us-east-1 node rekognition.js picture.jpg
import { readFile } from "node:fs/promises";
import { argv, exit } from "node:process";
import {
  DetectFacesCommand,
  RecognizeCelebritiesCommand,
  RekognitionClient,
  RekognitionServiceException,
} from "@aws-sdk/client-rekognition";

if (argv.length !== 3) {
  console.error("Name one picture: node rekognition.js picture.jpg");
  exit(2);
}
try {
  await describe(argv[2]);
} catch (error) {
  if (!(error instanceof RekognitionServiceException)) throw error;
  console.error(`${error.name}: ${error.message}`);
  exit(1);
}

async function describe(path) {
  const Image = { Bytes: await readFile(path) };
  const client = new RekognitionClient();
  const celebrities = await client.send(new RecognizeCelebritiesCommand({ Image }));
  for (const { Name, KnownGender, MatchConfidence } of celebrities.CelebrityFaces) {
    console.log(`${Name} (${KnownGender.Type}) ${MatchConfidence.toFixed(0)} %`);
  }
  const faces = await client.send(new DetectFacesCommand({ Image, Attributes: ["ALL"] }));
  console.log(`${faces.FaceDetails.length} faces`);
  for (const { Smile, Emotions } of faces.FaceDetails) {
    console.log(`smile: ${Smile.Value} emotion: ${Emotions[0].Type}`);
  }
}
