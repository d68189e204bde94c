// Recognizes a picture over TLS, with a token, and prints who is in it.
//
//   MARQUEE_TOKEN=mq_… node client.js contract.binpb marquee.example:443 picture.jpg
//
// MARQUEE_CA is the file of the server's CA; without it, those of Node count.
import { readFile } from "node:fs/promises";
import { argv, env, exit } from "node:process";
import { credentials, loadPackageDefinition, Metadata } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";

// Pictures have up to 15 MiB; gRPC's own limit for answers is 4 MiB.
const maxMessageBytes = 16 << 20;
const seconds = 12;

if (argv.length !== 5) {
  console.error("Name the contract, the server and one picture: node client.js contract.binpb HOST:PORT picture.jpg");
  exit(2);
}
try {
  await recognize(...argv.slice(2));
} catch (error) {
  if (error.details === undefined) throw error;
  console.error(`${error.code}: ${error.details}`);
  exit(1);
}

async function recognize(contract, address, path) {
  const definitions = loadFileDescriptorSetFromBuffer(await readFile(contract), { defaults: true, enums: String });
  const { RecognizerService } = loadPackageDefinition(definitions).marquee.v1;
  const client = new RecognizerService(address, await secure(), {
    "grpc.max_send_message_length": maxMessageBytes,
    "grpc.max_receive_message_length": maxMessageBytes,
  });
  const request = { image: { content: await readFile(path) } };
  const response = await new Promise((resolve, reject) => {
    const deadline = Date.now() + seconds * 1000;
    client.RecognizeImage(request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
  client.close();
  for (const { recognizer, outcome } of response.results) console.log(recognizer, outcome);
  for (const { state, displayName: name, score } of response.verdicts) console.log(state, name, score.toFixed(2));
}

// The token is sent with each call, and never in plaintext.
async function secure() {
  const channel = credentials.createSsl(env.MARQUEE_CA ? await readFile(env.MARQUEE_CA) : null);
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${env.MARQUEE_TOKEN}`);
  const call = credentials.createFromMetadataGenerator((_, done) => done(null, metadata));
  return env.MARQUEE_TOKEN ? credentials.combineChannelCredentials(channel, call) : channel;
}
