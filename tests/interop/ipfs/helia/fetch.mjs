// Fetches paths with Helia, by a router alone, and prints what came as JSON.
// Input, as one argument: {"router": URL, "paths": ["cid/name", …]}.

import { createHash } from 'node:crypto'
import { withHTTP } from '@helia/http'
import { createVerifiedFetch } from '@helia/verified-fetch'
import { createHeliaLight } from 'helia'

const asked = JSON.parse(process.argv[2])
const helia = await withHTTP(createHeliaLight(), {
  delegatedRouters: [asked.router],
  recursiveGateways: [],
  // Ours is on loopback and without TLS.
  allowInsecure: true,
  allowLocal: true
})
const fetch = await createVerifiedFetch(helia)
const found = {}
for (const path of asked.paths) {
  const answer = await fetch(`ipfs://${path}`)
  const body = Buffer.from(await answer.arrayBuffer())
  found[path] = {
    status: answer.status,
    size: body.length,
    sha256: createHash('sha256').update(body).digest('hex')
  }
}
await fetch.stop()
console.log(JSON.stringify(found))
process.exit(0)
