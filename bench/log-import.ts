// Fills the Rekor v2 log of a data directory with entries that look like keyless signatures, through the storage contract
// and without HTTP: log-import.ts DATA COUNT. The server that made the directory must not run.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serializeHashedRekordV002 } from '../core/bundle/entry.ts';
import { parseUtf8, serializeBase64 } from '../core/bytes/bytes.ts';
import { parsePrivateKey } from '../core/crypto/private-key.ts';
import { leafHash } from '../core/merkle/tree.ts';
import { createNoteSigner } from '../tlog/checkpoint-signer.ts';
import { openSqliteStore } from '../tlog/sqlite-store.ts';
import type { Head } from '../tlog/store.ts';
import { extend, rootOfEdge } from '../tlog/tree-edge.ts';
import { loadTree } from '../tlog/tree-state.ts';
import { certificateSigner } from './log-entries.ts';

const [data = '', countText = ''] = process.argv.slice(2);
const count = Number(countText);
/** Entries of one commit. */
const BATCH = 8192;
/** Keys; each has entries of as many identities as there are entries. */
const KEYS = 1000;

const { publicUrl } = JSON.parse(readFileSync(join(data, 'instance.json'), 'utf8')) as { publicUrl: string };
const host = new URL(publicUrl).hostname;
const key = parsePrivateKey(readFileSync(join(data, 'keys', 'rekor-v2.pem'), 'utf8'), undefined);
const signer = createNoteSigner(host, host, key);
const store = openSqliteStore(data, ['v2']);
let { head, edge } = await loadTree(store, 'v2', signer);

const certificates = Array.from({ length: KEYS }, (_, number) => {
  const { der } = certificateSigner(number);
  return { der, email: Buffer.from(der).indexOf('@example.com') - 10, serial: Buffer.from(der).indexOf(0x40) + 1 };
});
// The canonical body around what differs: digest, signature and certificate.
const MARK = new Uint8Array(30).fill(0xff);
const text = parseUtf8(
  serializeHashedRekordV002({
    hash: 'sha256',
    digest: MARK,
    signature: MARK,
    verifier: { x509Certificate: MARK },
    keyDetails: 'PKIX_ECDSA_P256_SHA_256',
  }),
);
const parts = text.split(serializeBase64(MARK));
// In the body's own order: members are sorted by name.
const order = ['digest', 'content', 'rawBytes'].toSorted((a, b) => text.indexOf(`"${a}"`) - text.indexOf(`"${b}"`));

function body(number: number): Uint8Array {
  const certificate = certificates[number % KEYS] as (typeof certificates)[number];
  const random = randomBytes(32 + 70 + 14);
  certificate.der.set(random.subarray(102, 116), certificate.serial);
  certificate.der.set(Buffer.from(`${number}`.padStart(10, '0')), certificate.email);
  const values: Record<string, Uint8Array> = {
    digest: random.subarray(0, 32),
    content: random.subarray(32, 102),
    rawBytes: certificate.der,
  };
  let result = parts[0] as string;
  for (const [i, name] of order.entries()) result += serializeBase64(values[name] as Uint8Array) + parts[i + 1];
  return Buffer.from(result, 'latin1');
}

const started = performance.now();
let committing: Promise<void> = Promise.resolve();
for (let done = 0; done < count; done += BATCH) {
  const leaves = Array.from({ length: Math.min(BATCH, count - done) }, (_, i) => body(done + i));
  const { edge: next, filled } = extend(edge, leaves.map(leafHash));
  const nextHead: Head = { treeSize: next.size, checkpoint: signer.sign(next.size, rootOfEdge(next)) };
  // The next batch is made while this one is committed.
  await committing;
  committing = store.commit([
    {
      tree: 'v2',
      expected: head,
      head: nextHead,
      time: new Date(),
      leaves: leaves.map((bytes) => ({ body: bytes, extra: undefined, identity: undefined })),
      tiles: filled.map(({ level, index, nodes }) => ({ level, index, hashes: nodes.hashes() })),
    },
  ]);
  edge = next;
  head = nextHead;
}
await committing;
await store.close();
const seconds = (performance.now() - started) / 1000;
console.log(JSON.stringify({ entries: count, seconds, perSecond: count / seconds, treeSize: Number(edge.size) }));
