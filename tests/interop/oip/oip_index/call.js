'use strict';

// Calls methods of oip-index and prints what each gave as JSON. Run in the folder
// where oip-index is installed; what to call stands in the first argument:
// {"url": …, "oip": …, "calls": [[method, …arguments], …]}.
//
// One of its methods asks a block explorer that is gone; /oip/floData is asked
// in its place.

const { createRequire } = require('module');
const load = createRequire(process.cwd() + '/');
const axios = createRequire(load.resolve('oip-index'))('axios');

console.log = console.error;

const { Index } = load('oip-index');
const EXPLORER = 'https://livenet.flocha.in/api/tx/';

function told(value) {
  if (Array.isArray(value)) return value.map(told);
  if (value instanceof Error) return { failed: String(value) };
  if (value && value.config && 'data' in value) return { status: value.status, data: value.data };
  if (value && value.constructor && value.constructor.name === 'Multipart') {
    return { class: 'Multipart', text: value.toString(), txid: value.getTXID() };
  }
  if (value && typeof value.toJSON === 'function') {
    return { class: value.constructor.name, json: value.toJSON() };
  }
  return value;
}

async function main() {
  const { url, oip, calls } = JSON.parse(process.argv[2]);
  const get = axios.get.bind(axios);
  axios.get = async (asked, ...rest) => {
    if (!asked.startsWith(EXPLORER)) return get(asked, ...rest);
    const found = await get(`${oip}/floData/get/${asked.slice(EXPLORER.length)}`);
    return { data: { floData: found.data.results[0].tx.floData } };
  };
  const index = new Index({ OIPdURL: url });
  const answers = [];
  for (const [method, ...args] of calls) {
    try {
      answers.push(told(await index[method](...args)));
    } catch (error) {
      answers.push({ failed: String(error) });
    }
  }
  process.stdout.write(JSON.stringify(answers));
}

main();
