// The console of /developers/: sends what the form says to /fhir, shows what comes back as text.
"use strict";
const form = document.getElementById("console");
const field = name => document.getElementById(name);
form.addEventListener("submit", async event => {
  event.preventDefault();
  const headers = {Accept: "application/fhir+json"};
  const body = field("body").value.trim();
  if (field("token").value.trim()) headers.Authorization = `Bearer ${field("token").value.trim()}`;
  const sends = ["POST", "PUT"].includes(field("method").value) && body;
  if (sends) headers["Content-Type"] = "application/fhir+json";
  const began = performance.now();
  field("status").textContent = "…";
  field("answer").hidden = false;
  try {
    const address = new URL(field("url").value.replace(/^\/+/, ""), new URL(form.dataset.base, location.origin));
    if (address.origin !== location.origin) throw new Error(address.origin);
    const answer = await fetch(address, {method: field("method").value, headers, body: sends ? body : undefined,
      credentials: "omit", cache: "no-store"});
    const text = await answer.text();
    field("status").textContent = `${answer.status} ${answer.statusText} · ${Math.round(performance.now() - began)} ms`;
    try { field("answer").textContent = JSON.stringify(JSON.parse(text), null, 1); }
    catch { field("answer").textContent = text; }
  } catch (error) {
    field("status").textContent = String(error);
    field("answer").textContent = "";
  }
});
