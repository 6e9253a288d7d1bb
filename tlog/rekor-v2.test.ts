import { describe, expect, test } from 'bun:test';
import { parseTransparencyLogEntry } from '../core/bundle/bundle.ts';
import { parseEntryBody } from '../core/bundle/entry.ts';
import { serializeBase64, serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import type { Json } from '../core/bytes/json.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { generateKey } from '../core/crypto/private-key.ts';
import { preAuthEncoding } from '../core/dsse/envelope.ts';
import { MAX_LOG_REQUEST_BYTES } from '../core/limits.ts';
import { parseCheckpoint } from '../core/merkle/checkpoint.ts';
import { isNoteSignedBy, logKeyHash } from '../core/merkle/note.ts';
import { parseEntryBundle } from '../core/merkle/tile.ts';
import { leafHash, nodeHash, verifyInclusion } from '../core/merkle/tree.ts';
import { envelopeOf, hashedRekordV2, jsonOf, LOG_KEYS, openTestLog, type TestLog } from './testing.ts';

const KEY = generateKey('p256');
const POST = '/api/v2/log/entries';

interface V2Entry {
  logIndex: string;
  logId: { keyId: string };
  kindVersion: { kind: string; version: string };
  integratedTime: string;
  inclusionPromise: null;
  inclusionProof: {
    logIndex: string;
    rootHash: string;
    treeSize: string;
    hashes: string[];
    checkpoint: { envelope: string };
  };
  canonicalizedBody: string;
}

const fromBase64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));

/** What a client does with the answer. */
function requireVerified(entry: V2Entry): void {
  const { publicKey } = LOG_KEYS.v2;
  const logId = logKeyHash('log.example', publicKey);
  expect(entry.logId.keyId).toBe(serializeBase64(logId));
  const { inclusionProof } = entry;
  const checkpoint = parseCheckpoint(inclusionProof.checkpoint.envelope);
  expect(checkpoint.origin).toBe('log.example');
  expect(isNoteSignedBy(checkpoint.note, { name: 'log.example', keyId: logId.subarray(0, 4), publicKey })).toBe(true);
  expect(serializeBase64(checkpoint.rootHash)).toBe(inclusionProof.rootHash);
  verifyInclusion({
    leafHash: leafHash(fromBase64(entry.canonicalizedBody)),
    index: BigInt(inclusionProof.logIndex),
    treeSize: checkpoint.treeSize,
    rootHash: checkpoint.rootHash,
    hashes: inclusionProof.hashes.map(fromBase64),
  });
}

async function submit(log: TestLog, proposal: Json): Promise<V2Entry> {
  const response = await log.post(POST, proposal);
  expect(response.status).toBe(201);
  const entry = await jsonOf<V2Entry>(response);
  requireVerified(entry);
  return entry;
}

describe('POST /api/v2/log/entries', () => {
  test('answers with all members, unset ones included', async () => {
    const log = await openTestLog();
    const entry = await submit(log, hashedRekordV2('hello', KEY));
    expect(entry).toEqual({
      logIndex: '0',
      logId: { keyId: expect.any(String) },
      kindVersion: { kind: 'hashedrekord', version: '0.0.2' },
      integratedTime: '0',
      inclusionPromise: null,
      inclusionProof: {
        logIndex: '0',
        rootHash: expect.any(String),
        treeSize: '1',
        hashes: [],
        checkpoint: { envelope: expect.any(String) },
      },
      canonicalizedBody: expect.any(String),
    });
    expect(parseEntryBody(fromBase64(entry.canonicalizedBody))).toMatchObject({
      kind: 'hashedrekord',
      version: '0.0.2',
      digest: sha256(serializeUtf8('hello')),
      verifier: { publicKey: KEY.publicKey.spki },
      keyDetails: 'PKIX_ECDSA_P256_SHA_256',
    });
  });

  test('answers in a form that the bundle parser takes', async () => {
    const log = await openTestLog();
    const entry = await submit(log, hashedRekordV2('hello', KEY));
    const parsed = parseTransparencyLogEntry(new Fields(entry as unknown as Json, '', 'BUNDLE_INVALID'));
    expect(parsed).toMatchObject({ logIndex: 0n, integratedTime: undefined, inclusionProof: { treeSize: 1n } });
  });

  test.each(['p384', 'p521', 'rsa', 'ed25519'] as const)('takes a %s key', async (kind) => {
    const log = await openTestLog();
    await submit(log, hashedRekordV2('hello', generateKey(kind, 2048)));
  });

  test('answers a duplicate with 201 and the entry that is there', async () => {
    const log = await openTestLog();
    const proposal = hashedRekordV2('hello', KEY);
    const first = await submit(log, proposal);
    await submit(log, hashedRekordV2('more', KEY));
    const second = await submit(log, proposal);
    expect([second.logIndex, second.canonicalizedBody]).toEqual([first.logIndex, first.canonicalizedBody]);
    expect(second.inclusionProof.treeSize).toBe('2');
    const both = await Promise.all([log.post(POST, proposal), log.post(POST, proposal)]);
    expect(both.map((response) => response.status)).toEqual([201, 201]);
  });

  test('logs a DSSE envelope as hashedrekord over its pre-authentication encoding', async () => {
    const log = await openTestLog();
    const envelope = envelopeOf('payload', [KEY]);
    const entry = await submit(log, {
      dsseRequestV002: {
        envelope,
        verifiers: [
          {
            publicKey: { rawBytes: serializeBase64(KEY.publicKey.spki) },
            keyDetails: 'PKIX_ECDSA_P256_SHA_256',
          },
        ],
      },
    });
    expect(entry.kindVersion).toEqual({ kind: 'hashedrekord', version: '0.0.2' });
    expect(parseEntryBody(fromBase64(entry.canonicalizedBody))).toMatchObject({
      digest: sha256(preAuthEncoding('text/plain', serializeUtf8('payload'))),
      signature: fromBase64(envelope.signatures[0]?.sig ?? ''),
    });
  });

  test('reads snake_case names and takes null for absent', async () => {
    const log = await openTestLog();
    const { hashedRekordRequestV002: request } = hashedRekordV2('hello', KEY) as {
      hashedRekordRequestV002: {
        digest: string;
        signature: { content: string; verifier: { publicKey: { rawBytes: string }; keyDetails: string } };
      };
    };
    const { publicKey, keyDetails } = request.signature.verifier;
    await submit(log, {
      hashed_rekord_request_v002: {
        digest: request.digest,
        signature: {
          content: request.signature.content,
          verifier: { public_key: { raw_bytes: publicKey.rawBytes }, key_details: keyDetails, x509_certificate: null },
        },
      },
      dsse_request_v002: null,
    });
  });

  const ed25519 = generateKey('ed25519');
  const valid = hashedRekordV2('x', KEY) as { hashedRekordRequestV002: { [key: string]: Json } };
  const dsse = (change: object): Json => ({
    dsseRequestV002: {
      envelope: envelopeOf('p', [KEY]),
      verifiers: [
        { publicKey: { rawBytes: serializeBase64(KEY.publicKey.spki) }, keyDetails: 'PKIX_ECDSA_P256_SHA_256' },
      ],
      ...change,
    },
  });
  const flaws: Record<string, Json> = {
    'a signature by another key': hashedRekordV2('x', KEY, {
      publicKey: serializeBase64(generateKey('p256').publicKey.spki),
    }),
    'a signature over another digest': hashedRekordV2('x', KEY, { digest: serializeBase64(new Uint8Array(32)) }),
    'a signature that is empty': hashedRekordV2('x', KEY, { signature: '' }),
    'a digest of the wrong length': hashedRekordV2('x', KEY, { digest: serializeBase64(new Uint8Array(31)) }),
    'a digest that is not base64': hashedRekordV2('x', KEY, { digest: '!!!!' }),
    'an algorithm of another key': hashedRekordV2('x', KEY, { keyDetails: 'PKIX_ECDSA_P384_SHA_384' }),
    'an algorithm that is not known': hashedRekordV2('x', KEY, { keyDetails: 'PKIX_MAGIC' }),
    'an algorithm named after a member of every object': hashedRekordV2('x', KEY, { keyDetails: 'toString' }),
    'pure Ed25519': hashedRekordV2('x', ed25519, { keyDetails: 'PKIX_ED25519' }),
    'a curve with the hash of a smaller one': hashedRekordV2('x', generateKey('p384'), {
      keyDetails: 'PKIX_ECDSA_P384_SHA_256',
    }),
    'a key that is no key': hashedRekordV2('x', KEY, { publicKey: 'AAAA' }),
    'an unknown member': { ...valid, extra: 1 },
    'an unknown inner member': { hashedRekordRequestV002: { ...valid.hashedRekordRequestV002, extra: 1 } },
    'a member under both of its names': { ...valid, hashed_rekord_request_v002: valid.hashedRekordRequestV002 as Json },
    'both kinds at once': { ...valid, ...(dsse({}) as object) },
    'neither kind': {},
    'a DSSE signature over another payload': dsse({ envelope: { ...envelopeOf('p', [KEY]), payload: 'AAAA' } }),
    'a DSSE envelope with two signatures': dsse({ envelope: envelopeOf('p', [KEY, KEY]) }),
    'a DSSE envelope with two verifiers': dsse({
      verifiers: [1, 2].map(() => ({
        publicKey: { rawBytes: serializeBase64(KEY.publicKey.spki) },
        keyDetails: 'PKIX_ECDSA_P256_SHA_256',
      })),
    }),
    'a DSSE envelope without verifier': dsse({ verifiers: [] }),
  };
  test.each(Object.entries(flaws))('refuses %s', async (_, proposal) => {
    const log = await openTestLog();
    const response = await log.post(POST, proposal);
    expect(response.status).toBe(400);
    expect(await jsonOf<unknown>(response)).toEqual({ code: 3, message: expect.any(String), details: [] });
    expect(log.faults).toEqual([]);
    expect(await (await log.get('/checkpoint')).text()).toStartWith('log.example\n0\n');
  });

  test('refuses a body that is no JSON, and one beyond the limit', async () => {
    const log = await openTestLog();
    expect((await log.post(POST, '{')).status).toBe(400);
    expect((await log.post(POST, new Uint8Array(MAX_LOG_REQUEST_BYTES + 1).fill(0x20))).status).toBe(413);
  });

  test('refuses other methods', async () => {
    const log = await openTestLog();
    const response = await log.get(POST);
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
  });
});

describe('tiles', () => {
  // Straight into the engine: what is tested is reading.
  async function filled(count: number): Promise<{ log: TestLog; bodies: Uint8Array[] }> {
    const log = await openTestLog();
    const proposals = Array.from({ length: count }, (_, n) => hashedRekordV2(`${n}`, KEY));
    const answers = await Promise.all(proposals.map((proposal) => log.post(POST, proposal)));
    const entries = await Promise.all(answers.map((answer) => jsonOf<V2Entry>(answer)));
    const bodies: Uint8Array[] = [];
    for (const entry of entries) bodies[Number(entry.logIndex)] = fromBase64(entry.canonicalizedBody);
    return { log, bodies };
  }
  const bytesOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());

  test('are served at both prefixes, partial ones of every width', async () => {
    const { log, bodies } = await filled(260);
    for (const prefix of ['', '/api/v2']) {
      const checkpoint = await log.get(`${prefix}/checkpoint`);
      expect(checkpoint.headers.get('cache-control')).toBe('no-cache');
      expect(parseCheckpoint(await checkpoint.text()).treeSize).toBe(260n);
      for (const [path, start, end] of [
        ['000', 0, 256],
        ['000.p/1', 0, 1],
        ['000.p/255', 0, 255],
        ['001.p/4', 256, 260],
        ['001.p/1', 256, 257],
      ] as const) {
        const tile = await log.get(`${prefix}/tile/0/${path}`);
        expect(tile.status).toBe(200);
        expect(tile.headers.get('cache-control')).toContain('immutable');
        expect(serializeHex(await bytesOf(tile))).toBe(
          bodies
            .slice(start, end)
            .map((body) => serializeHex(leafHash(body)))
            .join(''),
        );
        const bundle = await log.get(`${prefix}/tile/entries/${path}`);
        expect(parseEntryBundle(await bytesOf(bundle))).toEqual(bodies.slice(start, end));
      }
      const top = await bytesOf(await log.get(`${prefix}/tile/1/000.p/1`));
      let level: Uint8Array[] = bodies.slice(0, 256).map(leafHash);
      while (level.length > 1) {
        level = level.flatMap((hash, i) => (i % 2 ? [nodeHash(level[i - 1] as Uint8Array, hash)] : []));
      }
      expect<Uint8Array[]>([top]).toEqual(level);
    }
  });

  test.each([
    'tile/0/001',
    'tile/0/001.p/5',
    'tile/0/002.p/1',
    'tile/1/000',
    'tile/1/000.p/2',
    'tile/2/000.p/1',
    'tile/entries/001',
    'tile/entries/001.p/5',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/01',
    'tile/0/0',
    'tile/0/x000/000',
    'tile/-1/000',
    'tile/64/000',
    'tile/00/000',
    'tile/0/000/..%2f..%2fetc/passwd',
    'tile/entries/%2e%2e/log.db',
    'tile/0/x999/x999/x999/x999/x999/x999/999',
  ])('answers 404 for %s', async (path) => {
    const { log } = await filled(260);
    const response = await log.get(`/${path}`);
    expect(response.status).toBe(404);
    expect(await jsonOf<unknown>(response)).toMatchObject({ code: 5 });
    expect(log.faults).toEqual([]);
  });

  test('are read only', async () => {
    const log = await openTestLog();
    expect((await log.post('/checkpoint', {})).status).toBe(405);
    expect((await log.post('/api/v2/tile/0/000', {})).status).toBe(405);
    expect((await log.get('/checkpoint', 'HEAD')).status).toBe(200);
  });

  test('the checkpoint of an empty log is signed', async () => {
    const log = await openTestLog();
    const checkpoint = parseCheckpoint(await (await log.get('/api/v2/checkpoint')).text());
    expect([checkpoint.treeSize, serializeHex(checkpoint.rootHash)]).toEqual([0n, serializeHex(sha256())]);
    expect((await log.get('/tile/0/000.p/1')).status).toBe(404);
  });
});
