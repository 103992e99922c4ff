'use strict';

// Publishes an artifact through js-oip's RPC wallet, or, where a txid is given,
// edits the record that it published. Prints what js-oip says of it as JSON. Run
// in the folder where js-oip is installed; the argument:
// {"wif": …, "rpc": …, "oipdURL": …, "artifact": …, "txid": …, "strain": …}.

const { createRequire } = require('module');
const load = createRequire(process.cwd() + '/');

console.log = console.error;

const { DaemonApi, OIP, decodeArtifact } = load('js-oip');

// Ten times what js-oip pays by itself: FLO asks for 1,000 satoshis a kilobyte.
const txFeePerByte = 0.0000001;

async function main() {
  const { wif, rpc, oipdURL, artifact, txid, strain } = JSON.parse(process.argv[2]);
  const oip = new OIP(wif, 'regtest', { rpc, oipdURL, txFeePerByte });
  let result;
  if (txid) {
    const { record } = await new DaemonApi(oipdURL).getRecord(txid);
    record.setStrain(strain);
    result = await oip.edit(record);
  } else {
    const record = decodeArtifact({ artifact, meta: { type: 'oip042' } });
    result = await oip.publish(record);
  }
  const told = JSON.stringify({
    success: result.success,
    error: result.error && String(result.error),
    txids: result.txids,
    record: result.record && result.record.toJSON(),
  });
  process.stdout.write(told, () => process.exit(0));
}

main();
