'use strict';

// Loaded before fcoin (node -r): its native add-ons were not built. Modules
// that have a JavaScript twin choose it by NODE_BACKEND=js; the disk database
// has none, and is never opened when the chain is kept in memory.

const file = require.resolve('loady', { paths: [process.cwd()] });
const loady = require(file);

function load(name, ...rest) {
  return name === 'leveldown' ? {} : loady(name, ...rest);
}

require.cache[file].exports = Object.assign(load, loady);
