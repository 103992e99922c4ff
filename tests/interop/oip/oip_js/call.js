'use strict';

// Calls functions of oip-js and prints what each gave as JSON. Run in the folder
// where oip-js is installed; what to call stands in the first argument:
// {"settings": …, "calls": [["Index.search", …arguments], …]}.

const { createRequire } = require('module');
const load = createRequire(process.cwd() + '/');

console.log = console.error;

const { OIPJS } = load('oip-js');

function told(value) {
  if (Array.isArray(value)) return value.map(told);
  if (value && typeof value.toJSON === 'function') return value.toJSON();
  if (value instanceof Error) return { failed: String(value) };
  if (value && value.config && 'data' in value) return { status: value.status, data: value.data };
  return value;
}

function call(core, path, args) {
  const [room, name] = path.split('.');
  return new Promise((resolve, reject) => {
    core[room][name](...args, (...given) => resolve(given[0]), reject);
  });
}

async function main() {
  const { settings, calls } = JSON.parse(process.argv[2]);
  const answers = [];
  for (const [path, ...args] of calls) {
    // A new one each time: it answers from its own memory otherwise.
    const core = OIPJS(settings);
    try {
      answers.push(told(await call(core, path, args)));
    } catch (error) {
      answers.push({ failed: String(error) });
    }
  }
  process.stdout.write(JSON.stringify(answers));
}

main();
