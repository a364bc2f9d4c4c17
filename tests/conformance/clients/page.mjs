// Pages through a search to its end and back with fhir-kit-client: BASE TOKEN FAMILY; prints {"ids": [...], "back": n}.
import * as kit from "fhir-kit-client";

const Client = kit.Client ?? kit.default?.default ?? kit.default;
const [baseUrl, token, family] = process.argv.slice(2);
const client = new Client({ baseUrl, customHeaders: { Authorization: `Bearer ${token}` } });
const ids = [];
let last;
let bundle = await client.search({ resourceType: "Patient", searchParams: { family, _count: 4 } });
while (bundle) {
  for (const entry of bundle.entry ?? []) ids.push(entry.resource.id);
  last = bundle;
  bundle = await client.nextPage({ bundle });
}
let back = 0;
while ((last = await client.prevPage({ bundle: last }))) back += 1;
console.log(JSON.stringify({ ids, back }));
