// The token that shows that this page asks, and no other site. Signing in anew, perhaps in another tab, changes it.

let renewing = null;

/** Put the token of now into all forms of the page. Return it if it is another one, else undefined. */
export function renewToken() {
  renewing ??= renew().finally(() => { renewing = null; }); // all who ask at once get the same answer
  return renewing;
}

async function renew() {
  const fields = [...document.querySelectorAll('input[name="csrf_token"]')];
  const response = await fetch("/", { headers: { Accept: "text/html" } }).catch(() => null);
  if (!response?.ok || response.redirected) return undefined;
  const token = (await response.text()).match(/name="csrf_token" value="([^"<>]*)"/)?.[1];
  if (!token || fields.every((field) => field.value === token)) return undefined;
  for (const field of fields) field.value = token;
  return token;
}
