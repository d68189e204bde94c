// What generates `generated/`, the client of the HTTP API: npx openapi-ts
export default {
  input: "../../services/web/api/openapi.json",
  output: { path: "generated", module: { extension: ".ts" } },
  plugins: ["@hey-api/typescript", "@hey-api/sdk", "@hey-api/client-fetch"],
};
