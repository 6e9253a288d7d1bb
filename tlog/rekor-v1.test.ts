import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { parseEntryBody } from '../core/bundle/entry.ts';
import { signedEntryTimestampPayload } from '../core/bundle/set.ts';
import { parseBase64, parseHex, parseUtf8, serializeBase64, serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { generateKey } from '../core/crypto/private-key.ts';
import { keyFingerprint, parsePublicKeyPem, serializePublicKeyPem } from '../core/crypto/public-key.ts';
import { isValidSignature } from '../core/crypto/verify.ts';
import { MAX_LOG_REQUEST_BYTES } from '../core/limits.ts';
import { isV1Style, parseCheckpoint } from '../core/merkle/checkpoint.ts';
import { isNoteSignedBy } from '../core/merkle/note.ts';
import { leafHash, verifyConsistency, verifyInclusion } from '../core/merkle/tree.ts';
import { serializeCertificatePem } from '../core/x509/certificate.ts';
import { issue, issueAuthority, leafExtensions } from '../core/x509/testing.ts';
import {
  envelopeOf,
  hashedRekordV1,
  jsonOf,
  LOG_KEYS,
  NOW,
  openTestLog,
  signedDigest,
  type TestLog,
} from './testing.ts';
import { createMemoryDisk } from './testing-store.ts';

// Some verify thousands of signatures or send the largest request there may be: seconds where the machine is busy.
setDefaultTimeout(60_000);

const KEY = generateKey('p256');
const POST = '/api/v1/log/entries';

type Answer = Record<string, V1Entry>;

interface LogInfo {
  rootHash: string;
  treeSize: number;
  signedTreeHead: string;
  treeID: string;
  inactiveShards: unknown[];
}

interface V1Entry {
  body: string;
  integratedTime: number;
  logID: string;
  logIndex: number;
  verification: {
    inclusionProof: { checkpoint: string; hashes: string[]; logIndex: number; rootHash: string; treeSize: number };
    signedEntryTimestamp: string;
  };
}

/** What a client of the trusted root does with a LogEntry. */
function requireVerified(answer: Answer): { id: string; entry: V1Entry } {
  const [[id, entry]] = Object.entries(answer) as [[string, V1Entry]];
  const { publicKey } = LOG_KEYS.v1;
  const logId = keyFingerprint(publicKey);
  expect(entry.logID).toBe(serializeHex(logId));
  expect(entry.integratedTime).toBe(Math.floor(NOW.getTime() / 1000));
  const body = parseBase64(entry.body);
  const promise = signedEntryTimestampPayload({
    body,
    integratedTime: BigInt(entry.integratedTime),
    logId,
    logIndex: BigInt(entry.logIndex),
  });
  const { inclusionProof, signedEntryTimestamp } = entry.verification;
  expect(isValidSignature(publicKey, 'sha256', promise, parseBase64(signedEntryTimestamp))).toBe(true);
  const checkpoint = parseCheckpoint(inclusionProof.checkpoint);
  expect(isV1Style(checkpoint)).toBe(true);
  expect(checkpoint.note.signatures).toHaveLength(1);
  expect(
    isNoteSignedBy(checkpoint.note, { name: 'log.example', keyId: logId.subarray(0, 4), publicKey }, 'sha256'),
  ).toBe(true);
  expect(serializeHex(checkpoint.rootHash)).toBe(inclusionProof.rootHash);
  expect(checkpoint.treeSize).toBe(BigInt(inclusionProof.treeSize));
  expect(id).toBe(
    BigInt(checkpoint.origin.replace(/^.* - /, ''))
      .toString(16)
      .padStart(16, '0') + serializeHex(leafHash(body)),
  );
  verifyInclusion({
    leafHash: leafHash(body),
    index: BigInt(inclusionProof.logIndex),
    treeSize: BigInt(inclusionProof.treeSize),
    rootHash: parseHex(inclusionProof.rootHash),
    hashes: inclusionProof.hashes.map(parseHex),
  });
  return { id, entry };
}

function dsse(envelope: string, keys: (typeof KEY)[]): Json {
  const verifiers = keys.map((key) => serializeBase64(serializeUtf8(serializePublicKeyPem(key.publicKey))));
  return { apiVersion: '0.0.1', kind: 'dsse', spec: { proposedContent: { envelope, verifiers } } };
}

async function submit(log: TestLog, proposal: Json) {
  const response = await log.post(POST, proposal);
  expect(response.status).toBe(201);
  const answer = await jsonOf<Answer>(response);
  const { id, entry } = requireVerified(answer);
  expect(response.headers.get('etag')).toBe(id);
  expect(response.headers.get('location')).toBe(`${POST}/${id}`);
  return { id, entry };
}

describe('POST /api/v1/log/entries', () => {
  test('logs a hashedrekord and answers with promise and proof', async () => {
    const log = await openTestLog();
    const { entry } = await submit(log, hashedRekordV1('hello', KEY));
    expect(entry.logIndex).toBe(1); // the log's own first entry is 0
    const body = parseEntryBody(parseBase64(entry.body));
    expect(body).toMatchObject({
      kind: 'hashedrekord',
      version: '0.0.1',
      hash: 'sha256',
      digest: sha256(serializeUtf8('hello')),
      publicKeyPem: serializePublicKeyPem(KEY.publicKey),
    });
  });

  test.each(['p384', 'p521', 'rsa', 'ed25519'] as const)('takes a %s key', async (kind) => {
    const log = await openTestLog();
    await submit(log, hashedRekordV1('hello', generateKey(kind, 2048)));
  });

  test('logs a DSSE envelope by its hashes', async () => {
    const log = await openTestLog();
    const other = generateKey('ed25519');
    const envelope = JSON.stringify(envelopeOf('payload', [KEY, other]));
    const verifiers = [other, KEY].map((key) => serializeBase64(serializeUtf8(serializePublicKeyPem(key.publicKey))));
    const { entry } = await submit(log, {
      apiVersion: '0.0.1',
      kind: 'dsse',
      spec: { proposedContent: { envelope, verifiers }, signatures: null },
    });
    const body = parseEntryBody(parseBase64(entry.body));
    expect(body).toMatchObject({
      kind: 'dsse',
      envelopeHash: { digest: sha256(serializeUtf8(envelope)) },
      payloadHash: { digest: sha256(serializeUtf8('payload')) },
    });
  });

  test('answers a duplicate with 409, its location and the reference message', async () => {
    const log = await openTestLog();
    const { digest, signature } = signedDigest('hello', KEY);
    const proposal = hashedRekordV1('', KEY, {
      value: serializeHex(digest),
      signature: serializeBase64(signature),
    });
    const { id } = await submit(log, proposal);
    const response = await log.post(POST, proposal);
    expect(response.status).toBe(409);
    expect(response.headers.get('location')).toBe(`${POST}/${id}`);
    expect(await response.json()).toEqual({
      code: 409,
      message: `an equivalent entry already exists in the transparency log with UUID ${id}`,
    });
    expect((await log.get(`${POST}/${id}`)).status).toBe(200);
  });

  const ed25519 = generateKey('ed25519');
  const flaws: Record<string, Json> = {
    'a signature by another key': hashedRekordV1('x', KEY, {
      publicKey: serializePublicKeyPem(generateKey('p256').publicKey),
    }),
    'a signature over another digest': hashedRekordV1('x', KEY, { value: '00'.repeat(32) }),
    'a signature that is empty': hashedRekordV1('x', KEY, { signature: '' }),
    'a signature that is no DER': hashedRekordV1('x', KEY, { signature: 'AAAA' }),
    'a digest too short for its algorithm': hashedRekordV1('x', KEY, { value: '00' }),
    'a digest of another algorithm': hashedRekordV1('x', KEY, { algorithm: 'sha512' }),
    'a digest by SHA-1': hashedRekordV1('x', KEY, { algorithm: 'sha1', value: '00'.repeat(20) }),
    'a digest that is not hexadecimal': hashedRekordV1('x', KEY, { value: 'zz'.repeat(32) }),
    'a hash named after a member of every object': hashedRekordV1('x', KEY, { algorithm: 'constructor' }),
    'pure Ed25519': hashedRekordV1('x', ed25519, {
      algorithm: 'sha256',
      value: serializeHex(sha256(serializeUtf8('x'))),
    }),
    'a key that is no PEM': hashedRekordV1('x', KEY, { publicKey: 'hello' }),
    'two keys in one': hashedRekordV1('x', KEY, { publicKey: serializePublicKeyPem(KEY.publicKey).repeat(2) }),
    'a private key in place of the public one': hashedRekordV1('x', KEY, {
      publicKey: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
    }),
    'a kind that is not known': hashedRekordV1('x', KEY, { kind: 'jar' }),
    'a kind named after a member of every object': hashedRekordV1('x', KEY, { kind: '__proto__', apiVersion: '' }),
    'a version that is not known': hashedRekordV1('x', KEY, { apiVersion: '0.0.2' }),
    'no spec': { kind: 'hashedrekord', apiVersion: '0.0.1' },
    'a list': [],
    nothing: null,
    'a DSSE envelope that is no JSON': dsse('{', [KEY]),
    'a DSSE envelope without signatures': dsse(JSON.stringify({ ...envelopeOf('p', []) }), [KEY]),
    'a DSSE signature over another payload': dsse(
      JSON.stringify({ ...envelopeOf('p', [KEY]), payload: serializeBase64(serializeUtf8('q')) }),
      [KEY],
    ),
    'a DSSE signature over another payload type': dsse(
      JSON.stringify({ ...envelopeOf('p', [KEY]), payloadType: 'application/vnd.in-toto+json' }),
      [KEY],
    ),
    'a DSSE envelope with a signature that has no verifier': dsse(JSON.stringify(envelopeOf('p', [KEY, ed25519])), [
      KEY,
    ]),
    'a DSSE verifier that signed nothing': dsse(JSON.stringify(envelopeOf('p', [KEY])), [KEY, ed25519]),
    'DSSE verifiers beyond the limit': dsse(
      JSON.stringify(envelopeOf('p', [KEY])),
      Array.from({ length: 11 }, () => KEY),
    ),
    'no DSSE verifier': dsse(JSON.stringify(envelopeOf('p', [KEY])), []),
  };
  test.each(Object.entries(flaws))('refuses %s', async (_, proposal) => {
    const log = await openTestLog();
    const response = await log.post(POST, proposal);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ code: 400, message: expect.any(String) });
    expect(log.faults).toEqual([]);
    expect(await (await log.get('/api/v1/log')).json()).toMatchObject({ treeSize: 1 });
  });

  test.each([
    ['text', 'hello'],
    ['a duplicate key', '{"kind":"hashedrekord","kind":"dsse"}'],
    ['a nesting without end', '['.repeat(100_000)],
    ['bytes that are no UTF-8', Uint8Array.of(0x22, 0xff, 0x22)],
  ])('refuses a body of %s', async (_, body) => {
    const log = await openTestLog();
    expect((await log.post(POST, body)).status).toBe(400);
    expect(log.faults).toEqual([]);
  });

  test('refuses a body beyond the limit with 413, announced or not', async () => {
    const log = await openTestLog();
    const tooMuch = new Uint8Array(MAX_LOG_REQUEST_BYTES + 1).fill(0x20);
    expect((await log.post(POST, tooMuch)).status).toBe(413);
    const url = new URL(`http://log.example:8080${POST}`);
    const announced = new Request(url.href, {
      method: 'POST',
      headers: { 'content-length': `${MAX_LOG_REQUEST_BYTES + 1}` },
      body: 'x',
    });
    expect((await log.handle(announced, url, { address: '', loopback: true }))?.status).toBe(413);
  });

  test('answers 503 with Retry-After when the store fails, and logs the same proposal afterwards', async () => {
    const log = await openTestLog();
    log.store.failCall('commit', 1, 'persisted');
    const proposal = hashedRekordV1('hello', generateKey('rsa', 2048));
    const response = await log.post(POST, proposal);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await response.text()).not.toContain('test');
    expect(log.faults).toHaveLength(1);
    expect((await log.post(POST, proposal)).status).toBe(409); // it had been stored
  });
});

describe('reading', () => {
  test('finds an entry by index and by both forms of its ID', async () => {
    const log = await openTestLog();
    const { id, entry } = await submit(log, hashedRekordV1('one', KEY));
    await submit(log, hashedRekordV1('two', KEY));
    for (const path of [
      `${POST}?logIndex=1`,
      `${POST}/${id}`,
      `${POST}/${id.slice(16)}`,
      `${POST}/${id.toUpperCase()}`,
    ]) {
      const response = await log.get(path);
      expect(response.status).toBe(200);
      const found = requireVerified(await jsonOf<Answer>(response));
      expect([found.id, found.entry.body]).toEqual([id, entry.body]);
      expect(found.entry.verification.inclusionProof.treeSize).toBe(3);
    }
  });

  test('answers 404 without a body for what is not there', async () => {
    const log = await openTestLog();
    const { id } = await submit(log, hashedRekordV1('one', KEY));
    const otherTree = `${'0'.repeat(16)}${id.slice(16)}`;
    for (const path of ['?logIndex=2', '?logIndex=9223372036854775807', `/${'0'.repeat(64)}`, `/${otherTree}`]) {
      const response = await log.get(POST + path);
      expect([response.status, await response.text()]).toEqual([404, '']);
    }
  });

  test('does not take a search key for an entry ID', async () => {
    const log = await openTestLog();
    await submit(log, hashedRekordV1('one', KEY));
    const key = sha256(serializeUtf8(`search digest sha256:${serializeHex(sha256(serializeUtf8('one')))}`));
    expect((await log.get(`${POST}/${serializeHex(key)}`)).status).toBe(404);
  });

  test.each(['', '?logIndex=', '?logIndex=-1', '?logIndex=0x1', '?logIndex=1e1', '?logIndex=9223372036854775808'])(
    'refuses the index %s',
    async (query) => {
      const log = await openTestLog();
      expect((await log.get(POST + query)).status).toBe(422);
    },
  );

  test.each(['abc', 'z'.repeat(64), '0'.repeat(65), '0'.repeat(81)])('refuses the ID %s', async (id) => {
    const log = await openTestLog();
    expect((await log.get(`${POST}/${id}`)).status).toBe(422);
  });

  test('retrieves several at once and leaves out what is absent', async () => {
    const log = await openTestLog();
    const proposal = hashedRekordV1('one', generateKey('rsa', 2048)); // deterministic signature
    const { id } = await submit(log, proposal);
    await submit(log, hashedRekordV1('two', KEY));
    const response = await log.post(`${POST}/retrieve`, {
      entryUUIDs: [id, '0'.repeat(64)],
      logIndexes: [2, 77],
      entries: [proposal],
    });
    expect(response.status).toBe(200);
    const found = (await jsonOf<Answer[]>(response)).map(requireVerified);
    expect(found.map(({ entry }) => entry.logIndex)).toEqual([1, 2, 1]);
    const absent = await log.post(`${POST}/retrieve`, { entryUUIDs: null, logIndexes: [99], entries: null });
    expect([absent.status, await absent.json()]).toEqual([200, []]);
    const nothing = await log.post(`${POST}/retrieve`, {});
    expect([nothing.status, await nothing.json()]).toEqual([200, []]);
  });

  test.each([
    ['more than ten', { logIndexes: Array.from({ length: 11 }, (_, i) => i) }],
    ['an index that is no integer', { logIndexes: [1.5] }],
    ['an index below zero', { logIndexes: [-1] }],
    ['an ID that is none', { entryUUIDs: ['x'] }],
    ['an ID that is a number', { entryUUIDs: [1] }],
  ])('refuses to retrieve %s', async (_, query) => {
    const log = await openTestLog();
    expect((await log.post(`${POST}/retrieve`, query as Json)).status).toBe(422);
  });

  test('tells about the log, its key, and proves its growth', async () => {
    const log = await openTestLog();
    const first = await jsonOf<LogInfo>(await log.get('/api/v1/log'));
    for (let n = 0; n < 6; n++) await submit(log, hashedRekordV1(`${n}`, KEY));
    const second = await jsonOf<LogInfo>(await log.get('/api/v1/log'));
    expect([first.treeSize, second.treeSize, second.inactiveShards]).toEqual([1, 7, []]);
    expect(second.treeID).toBe(first.treeID);
    expect(parseCheckpoint(second.signedTreeHead).origin).toBe(`log.example - ${second.treeID}`);
    const proof = await jsonOf<{ rootHash: string; hashes: string[] }>(
      await log.get(`/api/v1/log/proof?firstSize=1&lastSize=7&treeID=${second.treeID}`),
    );
    expect(proof.rootHash).toBe(second.rootHash);
    verifyConsistency({
      firstSize: 1n,
      firstRoot: parseHex(first.rootHash),
      secondSize: 7n,
      secondRoot: parseHex(second.rootHash),
      hashes: proof.hashes.map(parseHex),
    });
    const key = await log.get('/api/v1/log/publicKey');
    expect(key.headers.get('content-type')).toBe('application/x-pem-file');
    expect(parsePublicKeyPem(await key.text()).spki).toEqual(LOG_KEYS.v1.publicKey.spki);
  });

  test.each([
    ['', 422],
    ['?lastSize=0', 422],
    ['?lastSize=x', 422],
    ['?firstSize=0&lastSize=1', 422],
    ['?firstSize=2&lastSize=1', 400],
    ['?firstSize=1&lastSize=2', 400],
    ['?firstSize=1&lastSize=1&treeID=1', 400],
  ])('refuses the proof %s with %d', async (query, status) => {
    const log = await openTestLog();
    expect((await log.get(`/api/v1/log/proof${query}`)).status).toBe(status);
  });
});

describe('a request made to be costly', () => {
  test.each([
    ['a thousand members', `{"kind":"hashedrekord","apiVersion":"0.0.1","x":[${'0,'.repeat(1000)}0]}`],
    ['a deep document', '['.repeat(200)],
    ['an envelope with a thousand members', JSON.stringify(dsse(`{"x":[${'0,'.repeat(1000)}0]}`, []))],
  ])('is refused: %s', async (_, body) => {
    const log = await openTestLog();
    expect((await log.post(POST, body)).status).toBe(400);
  });
});

describe('large requests', () => {
  test('are read beside the event loop, and refused with 503 beyond two of the largest', async () => {
    const log = await openTestLog();
    const largest = new Uint8Array(MAX_LOG_REQUEST_BYTES).fill(0x20);
    const answers = await Promise.all([1, 2, 3].map(() => log.post(POST, largest)));
    expect(answers.map(({ status }) => status)).toEqual([400, 400, 503]);
    expect(answers[2]?.headers.get('retry-after')).toBe('1');
    // The thread goes on.
    const proposal = dsse(JSON.stringify(envelopeOf('x'.repeat(100_000), [KEY])), [KEY]);
    await submit(log, proposal);
    const [found] = await jsonOf<Answer[]>(await log.post(`${POST}/retrieve`, { entries: [proposal] }));
    requireVerified(found as Answer);
    await log.close();
  });

  test('say what is wrong with them as small ones do', async () => {
    const log = await openTestLog();
    const unknown = await log.post(POST, { kind: 'x'.repeat(40_000), apiVersion: '1', spec: {} });
    expect([unknown.status, await unknown.json()]).toEqual([
      400,
      { code: 400, message: expect.stringContaining('is not accepted') },
    ]);
    const many = await log.post(`${POST}/retrieve`, { entryUUIDs: Array.from({ length: 600 }, () => 'a'.repeat(64)) });
    expect(many.status).toBe(422);
    expect(log.faults).toEqual([]);
    await log.close();
  });
});

describe('every answer', () => {
  test('of reading is for no cache', async () => {
    const log = await openTestLog();
    for (const path of ['/api/v1/log', '/api/v1/log/publicKey', `${POST}?logIndex=0`, `${POST}?logIndex=9`]) {
      expect((await log.get(path)).headers.get('cache-control')).toContain('no-store');
    }
  });

  test('may be read by a page of any origin, a refusal too', async () => {
    const log = await openTestLog();
    for (const path of ['/api/v1/log', '/checkpoint', '/api/v1/log/proof', '/ct/v1/get-sth', '/ping']) {
      const { headers } = await log.get(path);
      expect(headers.get('access-control-allow-origin')).toBe('*');
      expect(headers.get('access-control-allow-credentials')).toBeNull();
    }
    const preflight = await log.get(POST, 'OPTIONS', { 'Access-Control-Request-Method': 'POST' });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-methods')).toBe('GET, HEAD, POST');
    expect((await log.get(POST, 'OPTIONS')).status).toBe(405);
  });

  test('to ping is a dot, and nothing to HEAD but the headers', async () => {
    const log = await openTestLog();
    expect(await (await log.get('/ping')).text()).toBe('.');
    const head = await log.get('/api/v1/log', 'HEAD');
    expect([head.status, head.headers.get('content-type')]).toEqual([200, 'application/json']);
  });
});

describe('POST /api/v1/index/retrieve', () => {
  const SEARCH = '/api/v1/index/retrieve';
  const other = generateKey('p256');

  async function filled() {
    const log = await openTestLog();
    const one = (await submit(log, hashedRekordV1('one', KEY))).id;
    const two = (await submit(log, hashedRekordV1('two', KEY))).id;
    const three = (await submit(log, hashedRekordV1('one', other))).id;
    return { log, one, two, three };
  }
  const digest = serializeHex(sha256(serializeUtf8('one')));
  const publicKey = (key: typeof KEY) => ({
    format: 'x509',
    content: serializeBase64(serializeUtf8(serializePublicKeyPem(key.publicKey))),
  });

  test('finds by digest, by key, and by both', async () => {
    const { log, one, two, three } = await filled();
    const search = async (query: Json) => (await log.post(SEARCH, query)).json();
    expect(await search({ hash: `sha256:${digest}` })).toEqual([one, three]);
    expect(await search({ hash: digest.toUpperCase() })).toEqual([one, three]);
    expect(await search({ publicKey: publicKey(KEY), email: null })).toEqual([one, two]);
    expect(await search({ publicKey: publicKey(KEY), hash: digest })).toEqual([one, two, three]);
    expect(await search({ publicKey: publicKey(KEY), hash: digest, operator: 'and' })).toEqual([one]);
    expect(await search({ hash: '0'.repeat(64) })).toEqual([]);
    expect(await search({ email: 'nobody@example.com' })).toEqual([]);
  });

  test('finds the entries of a certificate by the certificate, and by its email in any case', async () => {
    const log = await openTestLog();
    const ca = issueAuthority('ca');
    const leaf = issue({ name: 'signer', issuer: ca, extensions: leafExtensions(ca, 'codeSigning') });
    const publicKey = serializeCertificatePem(leaf.certificate);
    const { id } = await submit(log, hashedRekordV1('one', leaf.key, { publicKey }));
    const content = serializeBase64(serializeUtf8(publicKey));
    const search = async (query: Json) => jsonOf<string[]>(await log.post(SEARCH, query));
    expect(await search({ publicKey: { format: 'x509', content } })).toEqual([id]);
    expect(await search({ email: 'A@Example.com' })).toEqual([id]);
    expect(await search({ email: 'b@example.com' })).toEqual([]);
  });

  test('finds an in-toto statement by its subject', async () => {
    const log = await openTestLog();
    const statement = JSON.stringify({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: 'a', digest: { sha256: digest } }],
      predicateType: 'https://example.com/p',
    });
    const { id } = await submit(
      log,
      dsse(JSON.stringify(envelopeOf(statement, [KEY], 'application/vnd.in-toto+json')), [KEY]),
    );
    expect(await jsonOf<string[]>(await log.post(SEARCH, { hash: `sha256:${digest}` }))).toEqual([id]);
  });

  test.each([
    ['nothing', {}, 400],
    ['a hash of no known length', { hash: 'abcd' }, 422],
    ['a hash that is shorter than its name says', { hash: 'sha512:abcd' }, 422],
    ['an operator that is none', { hash: '0'.repeat(64), operator: 'xor' }, 422],
    ['a PGP key', { publicKey: { format: 'pgp', content: 'AAAA' } }, 400],
    ['a key that is none', { publicKey: { format: 'x509', content: 'AAAA' } }, 400],
  ] as [string, Json, number][])('refuses to search for %s', async (_, query, status) => {
    const log = await openTestLog();
    expect((await log.post(SEARCH, query)).status).toBe(status);
  });
});

describe('the front end', () => {
  test('answers 405 with the methods that are allowed', async () => {
    const log = await openTestLog();
    const response = await log.get(POST, 'DELETE');
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST, GET']);
    expect((await log.get('/api/v1/log/entries/retrieve')).status).toBe(405);
  });

  test('leaves other paths to others', async () => {
    const log = await openTestLog();
    for (const path of ['/api/v1/log/', '/api/v1/logs', '/', '/api/v1/signingCert', '/tile', '/checkpoint/x']) {
      await expect(log.get(path)).rejects.toThrow('no route');
    }
  });

  test('keeps its tree ID and its entries over a restart, under the same host only', async () => {
    const disk = createMemoryDisk();
    const log = await openTestLog({ disk });
    const { id } = await submit(log, hashedRekordV1('one', KEY));
    await log.close();
    const again = await openTestLog({ disk });
    expect(requireVerified(await jsonOf<Answer>(await again.get(`${POST}/${id}`))).id).toBe(id);
    await again.close();
    await expect(openTestLog({ disk, publicUrl: 'http://other.example' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });
});

test('no promise is signed for a body that the tree does not hold', async () => {
  const disk = createMemoryDisk();
  const log = await openTestLog({ disk });
  await log.post('/api/v1/log/entries', hashedRekordV1('a', generateKey('p256')));
  const tree = disk.trees.get('v1');
  const body = tree?.leaves[1]?.body;
  if (!tree || !body) throw new Error('no entry');
  const altered = serializeUtf8(parseUtf8(body).replace('sha256', 'sha512'));
  disk.trees.set('v1', {
    ...tree,
    leaves: tree.leaves.map((leaf, i) => (i === 1 ? { ...leaf, body: altered } : leaf)),
  });
  for (const response of [
    await log.get('/api/v1/log/entries?logIndex=1'),
    await log.post('/api/v1/log/entries/retrieve', { logIndexes: [1] }),
  ]) {
    expect(response.status).toBe(503);
    expect(await response.text()).not.toContain('signedEntryTimestamp');
  }
  disk.trees.set('v1', tree);
  expect((await log.get('/api/v1/log/entries?logIndex=1')).status).toBe(200);
  await log.close();
});
