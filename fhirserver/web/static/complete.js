// Completes a search of FHIR as it is written: types first, then the parameters of the type; what is offered are whole searches.
"use strict";
const field = document.getElementById("q");
const offered = document.getElementById("examples");
const examples = [...offered.children];
const known = JSON.parse(document.getElementById("known").textContent);
const results = ["_count", "_sort", "_summary", "_elements", "_include", "_revinclude", "_total"];
function completions(text) {
  const [type, query] = [text.split("?")[0], text.includes("?") ? text.slice(text.indexOf("?") + 1) : null];
  if (query === null) return Object.keys(known).filter(name => name.toLowerCase().startsWith(type.toLowerCase())).map(name => `${name}?`);
  const written = query.split("&");
  const begun = written.pop();
  if (begun.includes("=") || !known[type]) return [];
  const before = `${type}?${written.map(each => `${each}&`).join("")}`;
  return [...known[type], ...results].filter(name => name.startsWith(begun)).map(name => `${before}${name}=`);
}
field.addEventListener("input", () => {
  const options = completions(field.value).slice(0, 40).map(value => Object.assign(document.createElement("option"), {value}));
  offered.replaceChildren(...(field.value ? options : examples));
});
