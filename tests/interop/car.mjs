// Reads an archive with the tools of others, computes every block anew, and writes an archive of what came out.
//
//   node car.mjs IN OUT        prints how many blocks there were, and how many of them were DAG-CBOR

import { createReadStream, createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CarBlockIterator, CarWriter } from '@ipld/car'
import * as dagCbor from '@ipld/dag-cbor'
import { blake3 } from '@noble/hashes/blake3.js'
import { CID } from 'multiformats/cid'
import { create } from 'multiformats/hashes/digest'
import { equals } from 'multiformats/bytes'

const BLAKE3 = 0x1e
const RAW = 0x55

const [from, to] = process.argv.slice(2)
const car = await CarBlockIterator.fromIterable(createReadStream(from))
const roots = await car.getRoots()
const { writer, out } = CarWriter.create(roots)
const written = pipeline(Readable.from(out), createWriteStream(to))
let blocks = 0
let encoded = 0
for await (const { cid, bytes } of car) {
  let again = bytes
  if (cid.code === dagCbor.code) {
    again = dagCbor.encode(dagCbor.decode(bytes))
    if (!equals(again, bytes)) throw new Error(`${cid} is encoded otherwise`)
    encoded += 1
  } else if (cid.code !== RAW) {
    throw new Error(`${cid} has codec ${cid.code}`)
  }
  const computed = CID.createV1(cid.code, create(BLAKE3, blake3(again)))
  if (!computed.equals(cid)) throw new Error(`${cid} is ${computed}`)
  await writer.put({ cid: computed, bytes: again })
  blocks += 1
}
await writer.close()
await written
console.log(`${blocks} ${encoded}`)
