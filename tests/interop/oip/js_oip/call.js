'use strict';

// Calls methods of js-oip's DaemonApi, one after the other, and prints what each
// gave as JSON. Run in the folder where js-oip is installed; what to call stands
// in the first argument: {"url": …, "calls": [[method, …arguments], …]}.

const { createRequire } = require('module');
const load = createRequire(process.cwd() + '/');

console.log = console.error;

const { DaemonApi } = load('js-oip');

// Objects of js-oip's own classes say which class it is, and their JSON.
function told(value) {
  if (Array.isArray(value)) return value.map(told);
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Error) return { failed: String(value) };
  const name = value.constructor.name;
  if (name === 'MPSingle') {
    return { class: name, isValid: value.isValid(), text: value.toString(), json: { ...value } };
  }
  if (typeof value.toJSON === 'function') {
    return { class: name, isValid: value.isValid(), json: value.toJSON() };
  }
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, told(each)]));
}

async function main() {
  const { url, calls } = JSON.parse(process.argv[2]);
  const api = new DaemonApi(url);
  const answers = [];
  for (const [method, ...args] of calls) {
    try {
      answers.push(told(await api[method](...args)));
    } catch (error) {
      answers.push({ failed: String(error) });
    }
  }
  process.stdout.write(JSON.stringify(answers));
}

main();
