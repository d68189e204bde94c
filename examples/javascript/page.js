// Recognizes a picture from a page of any origin in MARQUEE_WEB_CORS_ORIGINS, by Connect, with a token.
//
// There is no generated code: the services are those of contract.binpb.
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";

const contract = await (await fetch("contract.binpb")).arrayBuffer();
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, new Uint8Array(contract)));
const service = registry.getService("marquee.v1.RecognizerService");
const outcomes = registry.getEnum("marquee.v1.Outcome");
const form = document.querySelector("form");
const list = document.querySelector("ul");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { server, token, picture } = Object.fromEntries(new FormData(form));
  list.replaceChildren();
  try {
    await recognize(connect(server, token), new Uint8Array(await picture.arrayBuffer()));
    say("done");
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    say(`${Code[code]}: ${rawMessage}`);
  }
});

// The token goes with each call; cookies never do.
function connect(baseUrl, token) {
  const authorize = (next) => (request) => {
    if (token) request.header.set("Authorization", `Bearer ${token}`);
    return next(request);
  };
  return createClient(service, createConnectTransport({ baseUrl, interceptors: [authorize], useBinaryFormat: true }));
}

async function recognize(client, content) {
  const request = { image: { source: { case: "content", value: content } } };
  for await (const { results, verdicts } of client.streamRecognizeImage(request, { timeoutMs: 12_000 })) {
    for (const { recognizer, outcome } of results) say(`${recognizer} ${outcomes.value[outcome].name}`);
    for (const { displayName, score } of verdicts) say(displayName ? `${displayName} ${score.toFixed(2)}` : "nobody by name");
  }
}

function say(text) {
  list.append(Object.assign(document.createElement("li"), { textContent: text }));
}
