// The kinds of entry of Rekor v1 beside hashedrekord and dsse, each as its clients send it and as the reference stores it.
import { beforeAll, describe, expect, test } from 'bun:test';
import { parseEntryBody } from '../core/bundle/entry.ts';
import { parseUtf8, serializeBase64, serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { generateKey, type PrivateKey, sign } from '../core/crypto/private-key.ts';
import { serializePublicKeyPem } from '../core/crypto/public-key.ts';
import { MAX_ATTESTATION_BYTES, MAX_LOGGED_TIMESTAMP_BYTES } from '../core/limits.ts';
import { leafHash } from '../core/merkle/tree.ts';
import { buildToken, granted } from '../core/timestamp/testing.ts';
import { serializeCertificatePem } from '../core/x509/certificate.ts';
import { issue, issueAuthority, leafExtensions } from '../core/x509/testing.ts';
import { envelopeOf, jsonOf, openTestLog, type TestLog } from './testing.ts';

const POST = '/api/v1/log/entries';
const KEY = generateKey('p256');
const OTHER = generateKey('p384');
const CA = issueAuthority('ca');
const SIGNER = issue({ name: 'signer', issuer: CA, extensions: leafExtensions(CA, 'codeSigning') });
const EMAIL = 'a@example.com';
const CERTIFICATE = serializeCertificatePem(SIGNER.certificate);

const b64 = (data: string | Uint8Array): string =>
  serializeBase64(typeof data === 'string' ? serializeUtf8(data) : data);
const twice = (data: string | Uint8Array): string => b64(b64(data));
const hex = (text: string | Uint8Array): string =>
  serializeHex(sha256(typeof text === 'string' ? serializeUtf8(text) : text));
const pem = (key: PrivateKey): string => serializePublicKeyPem(key.publicKey);
const proposal = (kind: string, apiVersion: string, spec: Json): Json => ({ kind, apiVersion, spec });

const STATEMENT_TYPE = 'application/vnd.in-toto+json';
const STATEMENT = JSON.stringify({
  _type: 'https://in-toto.io/Statement/v0.1',
  subject: [{ name: 'file', digest: { sha256: 'ab'.repeat(32), sha512: 'cd'.repeat(64), sha1: 'EF'.repeat(20) } }],
  predicateType: 'https://slsa.dev/provenance/v0.2',
  predicate: { materials: [{ uri: 'git+x', digest: { sha1: '12'.repeat(20) } }, { uri: 'none' }] },
});

type Answer = Record<string, { body: string; attestation?: { data: string } }>;
type Spec = { [key: string]: Json };

async function logged(
  log: TestLog,
  entry: Json,
): Promise<{ id: string; text: string; attestation: string | undefined }> {
  const created = await log.post(POST, entry);
  expect(created.status).toBe(201);
  const [[id, { body, attestation: early }]] = Object.entries(await jsonOf<Answer>(created)) as [
    [string, Answer[string]],
  ];
  expect(early).toBeUndefined(); // as in the reference: with the entry when it is read
  const bytes = Buffer.from(body, 'base64');
  expect(id.slice(16)).toBe(serializeHex(leafHash(bytes)));
  parseEntryBody(bytes);
  const again = await log.post(POST, entry);
  expect([again.status, again.headers.get('location')]).toEqual([409, `${POST}/${id}`]);
  const read = await jsonOf<Answer>(await log.get(`${POST}/${id}`));
  expect(read[id]?.body).toBe(body);
  const data = read[id]?.attestation?.data;
  return {
    id,
    text: parseUtf8(bytes),
    attestation: data === undefined ? undefined : Buffer.from(data, 'base64').toString(),
  };
}

async function found(log: TestLog, query: Json): Promise<string[]> {
  return jsonOf<string[]>(await log.post('/api/v1/index/retrieve', query));
}

async function refusal(entry: Json): Promise<string> {
  const log = await openTestLog();
  const response = await log.post(POST, entry);
  return `${response.status} ${(await jsonOf<{ message: string }>(response)).message}`;
}

describe('rekord 0.0.1', () => {
  const spec = (change: Spec = {}, signatureChange: Spec = {}): Json =>
    proposal('rekord', '0.0.1', {
      data: { content: b64('artifact') },
      signature: {
        format: 'x509',
        content: b64(sign(KEY, serializeUtf8('artifact'))),
        publicKey: { content: b64(pem(KEY)) },
        ...signatureChange,
      },
      ...change,
    });

  test('is stored without the artifact, byte for byte, and found by digest and key', async () => {
    const log = await openTestLog();
    const signature = b64(sign(KEY, serializeUtf8('artifact')));
    const { id, text, attestation } = await logged(log, spec({}, { content: signature }));
    expect(text).toBe(
      `{"apiVersion":"0.0.1","kind":"rekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"${hex('artifact')}"}},` +
        `"signature":{"content":"${signature}","format":"x509","publicKey":{"content":"${b64(pem(KEY))}"}}}}`,
    );
    expect(attestation).toBeUndefined();
    expect(await found(log, { hash: `sha256:${hex('artifact')}` })).toEqual([id]);
    expect(await found(log, { publicKey: { format: 'x509', content: b64(pem(KEY)) } })).toEqual([id]);
  });

  test('of a certificate is found by its email, and its PEM is stored in the one form', async () => {
    const log = await openTestLog();
    const content = b64(sign(SIGNER.key, serializeUtf8('artifact')));
    const wide = CERTIFICATE.replaceAll('\n', '\r\n');
    const { id, text } = await logged(log, spec({}, { content, publicKey: { content: b64(`\n${wide}`) } }));
    expect(text).toContain(`"publicKey":{"content":"${b64(CERTIFICATE)}"}`);
    expect(await found(log, { email: EMAIL.toUpperCase() })).toEqual([id]);
  });

  test.each(['p384', 'p521', 'rsa', 'ed25519'] as const)('takes a key of %s', async (kind) => {
    const key = generateKey(kind, 2048);
    const change = { content: b64(sign(key, serializeUtf8('artifact'))), publicKey: { content: b64(pem(key)) } };
    await logged(await openTestLog(), spec({}, change));
  });

  test('takes an ECDSA key of any size with SHA-256, as the reference does', async () => {
    const content = b64(sign(OTHER, serializeUtf8('artifact'), 'sha256'));
    await logged(await openTestLog(), spec({}, { content, publicKey: { content: b64(pem(OTHER)) } }));
  });

  test('takes an artifact that is larger than a page, signed over its digest', async () => {
    const artifact = new Uint8Array(100_000).fill(7);
    const content = b64(sign(KEY, artifact));
    const { text } = await logged(await openTestLog(), spec({ data: { content: b64(artifact) } }, { content }));
    expect(text).toContain(hex(artifact));
  });

  test.each([
    ['pgp', { format: 'pgp' }, '400 spec.signature.format: "pgp" is not accepted here, only x509'],
    ['minisign', { format: 'minisign' }, '400 spec.signature.format: "minisign" is not accepted here'],
    ['ssh', { format: 'ssh' }, '400 spec.signature.format: "ssh" is not accepted here'],
    ['no format', { format: null }, '400 spec.signature.format: missing'],
    [
      'a signature of other bytes',
      { content: b64(sign(KEY, serializeUtf8('b'))) },
      '400 spec.signature.content: the sig',
    ],
    ['another key', { publicKey: { content: b64(pem(OTHER)) } }, '400 spec.signature.content: the signature does not'],
    ['no key', { publicKey: { content: b64('x') } }, 'expected a PEM block'],
  ] as const)('refuses %s', async (_, change, message) => {
    expect(await refusal(spec({}, change as Spec))).toContain(message);
  });

  test.each([
    [
      'another hash than that of the content',
      { content: b64('artifact'), hash: { algorithm: 'sha256', value: hex('x') } },
    ],
    ['a hash in place of the content', { hash: { algorithm: 'sha256', value: hex('artifact') } }],
    ['content that is not base64', { content: '***' }],
  ])('refuses %s', async (_, data) => {
    expect(await refusal(spec({ data } as Spec))).toStartWith('400 spec.data');
  });
});

describe('intoto 0.0.1', () => {
  const envelope = JSON.stringify(envelopeOf(STATEMENT, [KEY], STATEMENT_TYPE));
  const spec = (content: Spec = {}, publicKey: Json = b64(pem(KEY))): Json =>
    proposal('intoto', '0.0.1', { content: { envelope, ...content }, publicKey });

  test('is stored by its hashes, byte for byte, and hands out its attestation', async () => {
    const log = await openTestLog();
    // What a client says of hashes is not taken.
    const { text, attestation } = await logged(log, spec({ hash: { algorithm: 'sha256', value: '0'.repeat(64) } }));
    expect(text).toBe(
      `{"apiVersion":"0.0.1","kind":"intoto","spec":{"content":{"hash":{"algorithm":"sha256","value":"${hex(envelope)}"},` +
        `"payloadHash":{"algorithm":"sha256","value":"${hex(STATEMENT)}"}},"publicKey":"${b64(pem(KEY))}"}}`,
    );
    expect(attestation).toBe(STATEMENT);
  });

  test('is found by envelope, payload, key, subject and material', async () => {
    const log = await openTestLog();
    const { id } = await logged(log, spec());
    const digests = [hex(envelope), hex(STATEMENT), hex(pem(KEY)), 'ab'.repeat(32), 'cd'.repeat(64), 'ef'.repeat(20)];
    for (const hash of [...digests, '12'.repeat(20)]) expect(await found(log, { hash })).toEqual([id]);
    expect(await found(log, { publicKey: { format: 'x509', content: b64(pem(KEY)) } })).toEqual([id]);
    expect(await found(log, { hash: '34'.repeat(20) })).toEqual([]);
  });

  test('of an envelope with several signatures names who signed one of them', async () => {
    const both = JSON.stringify(envelopeOf(STATEMENT, [OTHER, KEY], STATEMENT_TYPE));
    await logged(await openTestLog(), spec({ envelope: both }));
  });

  test('of a payload that is no statement is logged, and found by its hash', async () => {
    const log = await openTestLog();
    const plain = JSON.stringify(envelopeOf('{', [KEY], STATEMENT_TYPE));
    const { id } = await logged(log, spec({ envelope: plain }));
    expect(await found(log, { hash: hex('{') })).toEqual([id]);
  });

  test('keeps an attestation of the largest size and none beyond', async () => {
    const log = await openTestLog();
    for (const bytes of [MAX_ATTESTATION_BYTES, MAX_ATTESTATION_BYTES + 1]) {
      const payload = 'x'.repeat(bytes);
      const large = JSON.stringify(envelopeOf(payload, [KEY]));
      const { attestation } = await logged(log, spec({ envelope: large }));
      expect(attestation?.length).toBe(bytes === MAX_ATTESTATION_BYTES ? bytes : undefined);
    }
  });

  test.each([
    ['a key that signed nothing', spec({}, b64(pem(OTHER))), '400 spec.content.envelope: no signature verifies'],
    ['no envelope, only hashes', spec({ envelope: null }), '400 spec.content.envelope: missing'],
    ['an envelope that is an object', spec({ envelope: {} }), '400 spec.content.envelope: expected a string'],
    ['no public key', spec({}, null), '400 spec.publicKey: missing'],
    [
      'an envelope without signatures',
      spec({ envelope: '{"payload":"","payloadType":"x"}' }),
      '400 signatures: missing',
    ],
  ])('refuses %s', async (_, entry, message) => {
    expect(await refusal(entry)).toStartWith(message);
  });
});

describe('intoto 0.0.2', () => {
  const signed = envelopeOf(STATEMENT, [KEY, OTHER], STATEMENT_TYPE).signatures.map(({ sig }) => sig);
  const item = (i: number, change: Spec = {}): Json => ({
    sig: b64(signed[i] as string),
    publicKey: b64(pem([KEY, OTHER][i] as PrivateKey)),
    ...change,
  });
  const hash = { algorithm: 'sha256', value: 'fe'.repeat(32) };
  const spec = (signatures: Json[], change: Spec = {}, contentChange: Spec = {}): Json =>
    proposal('intoto', '0.0.2', {
      content: {
        envelope: { payload: twice(STATEMENT), payloadType: STATEMENT_TYPE, signatures, ...change },
        hash,
        ...contentChange,
      },
    });

  test('is stored without its payload, byte for byte, and hands out its attestation', async () => {
    const log = await openTestLog();
    const { id, text, attestation } = await logged(log, spec([item(0, { keyid: 'k' }), item(1, { keyid: '' })]));
    expect(text).toBe(
      `{"apiVersion":"0.0.2","kind":"intoto","spec":{"content":{"envelope":{"payloadType":"${STATEMENT_TYPE}","signatures":[` +
        `{"keyid":"k","publicKey":"${b64(pem(KEY))}","sig":"${b64(signed[0] as string)}"},` +
        `{"publicKey":"${b64(pem(OTHER))}","sig":"${b64(signed[1] as string)}"}]},` +
        `"hash":{"algorithm":"sha256","value":"${hash.value}"},` +
        `"payloadHash":{"algorithm":"sha256","value":"${hex(STATEMENT)}"}}}}`,
    );
    expect(attestation).toBe(STATEMENT);
    for (const query of [hex(STATEMENT), hex(pem(KEY)), hex(pem(OTHER)), 'ab'.repeat(32)]) {
      expect(await found(log, { hash: query })).toEqual([id]);
    }
    // The envelope's hash is the client's word alone, and nothing is found by it.
    expect(await found(log, { hash: hash.value })).toEqual([]);
  });

  test('keeps the bytes of a public key as they came', async () => {
    const { text } = await logged(await openTestLog(), spec([item(0, { publicKey: b64(`${pem(KEY)}\n\n`) })]));
    expect(text).toContain(`"publicKey":"${b64(`${pem(KEY)}\n\n`)}"`);
  });

  test.each([
    [
      'a signature beside another key',
      spec([item(0, { publicKey: b64(pem(OTHER)) })]),
      'signatures[0].sig: it does not',
    ],
    [
      'one good and one wrong signature',
      spec([item(0), item(1, { sig: b64(signed[0] as string) })]),
      'signatures[1].sig',
    ],
    ['no signatures', spec([]), 'signatures: missing'],
    ['no payload', spec([item(0)], { payload: null }), 'envelope.payload: missing'],
    ['a payload in base64 once', spec([item(0)], { payload: b64('{"a":1}') }), 'payload: expected base64 of base64'],
    ['another payload', spec([item(0)], { payload: twice('other') }), 'signatures[0].sig: it does not verify'],
    ['another payload type', spec([item(0)], { payloadType: 'text/plain' }), 'signatures[0].sig: it does not verify'],
    ['no hash', spec([item(0)], {}, { hash: null }), 'content.hash: expected an object'],
    [
      'a hash that is none',
      spec([item(0)], {}, { hash: { algorithm: 'sha256', value: 'FE'.repeat(32) } }),
      'hash.value',
    ],
    ['eleven signatures', spec(Array.from({ length: 11 }, () => item(0))), 'signatures: more than 10'],
    ['a key ID without end', spec([item(0, { keyid: 'k'.repeat(300_000) })]), 'can be logged'],
  ])('refuses %s', async (_, entry, message) => {
    const answer = await refusal(entry);
    expect(answer).toStartWith('400 ');
    expect(answer).toContain(message);
  });
});

describe('rfc3161 0.0.1', () => {
  const tsa = issue({ name: 'tsa', issuer: CA, extensions: leafExtensions(CA, 'timeStamping') });
  const token = (change: Partial<Parameters<typeof buildToken>[0]> = {}): Uint8Array =>
    buildToken({ signer: tsa, signed: serializeUtf8('signed'), ...change });
  const spec = (timestamp: Uint8Array): Json => proposal('rfc3161', '0.0.1', { tsr: { content: b64(timestamp) } });
  const timestamp = granted(token());

  test('is stored whole, byte for byte, and found by its digest', async () => {
    const log = await openTestLog();
    const { id, text } = await logged(log, spec(timestamp));
    expect(text).toBe(`{"apiVersion":"0.0.1","kind":"rfc3161","spec":{"tsr":{"content":"${b64(timestamp)}"}}}`);
    expect(await found(log, { hash: hex(timestamp) })).toEqual([id]);
  });

  const damaged = Uint8Array.from(timestamp);
  damaged[damaged.length - 1] = (damaged.at(-1) as number) ^ 1;
  test.each([
    ['one without its certificate', granted(token({ certificates: [] })), 'the certificate of its signer is not in it'],
    [
      "one with another's certificate",
      granted(token({ certificates: [SIGNER.certificate.der] })),
      'the certificate of its signer is not in it',
    ],
    ['a signature with one bit changed', damaged, 'the signature does not verify'],
    ['a token without its response', token(), 'not a timestamp response'],
    ['bytes after the response', Buffer.concat([timestamp, Buffer.of(0)]), 'not a timestamp response'],
    ['bytes that are none', new Uint8Array(5), 'not a timestamp response'],
    ['more than 10 KiB', new Uint8Array(MAX_LOGGED_TIMESTAMP_BYTES + 1), 'larger than 10240 bytes'],
  ])('refuses %s', async (_, bytes, message) => {
    const answer = await refusal(spec(bytes));
    expect(answer).toStartWith('400 ');
    expect(answer).toContain(message);
  });
});

describe('entries/retrieve', () => {
  const statement = JSON.stringify(envelopeOf(STATEMENT, [KEY], STATEMENT_TYPE));
  const proposals: Record<string, Json> = {
    rekord: proposal('rekord', '0.0.1', {
      data: { content: b64('artifact') },
      signature: {
        format: 'x509',
        content: b64(sign(KEY, serializeUtf8('artifact'))),
        publicKey: { content: b64(pem(KEY)) },
      },
    }),
    dsse: proposal('dsse', '0.0.1', { proposedContent: { envelope: statement, verifiers: [b64(pem(KEY))] } }),
    intoto: proposal('intoto', '0.0.1', { content: { envelope: statement }, publicKey: b64(pem(KEY)) }),
  };
  let log: TestLog;
  const ids: Record<string, { id: string; text: string }> = {};
  beforeAll(async () => {
    log = await openTestLog();
    for (const [kind, entry] of Object.entries(proposals)) ids[kind] = await logged(log, entry);
  });
  const retrieve = async (entries: Json[]): Promise<string[]> =>
    (await jsonOf<Answer[]>(await log.post(`${POST}/retrieve`, { entries }))).flatMap((entry) => Object.keys(entry));

  for (const kind of Object.keys(proposals)) {
    test(`finds a ${kind} by its proposal, and by its body alone`, async () => {
      const { id, text } = ids[kind] as { id: string; text: string };
      expect(await retrieve([proposals[kind] as Json])).toEqual([id]);
      expect(await retrieve([JSON.parse(text)])).toEqual([id]);
    });
  }

  test('leaves out a body that the log does not hold', async () => {
    const { text } = ids['rekord'] as { text: string };
    expect(await retrieve([JSON.parse(text.replace(hex('artifact'), hex('other')))])).toEqual([]);
  });

  test('refuses what is neither proposal nor body', async () => {
    const answer = await log.post(`${POST}/retrieve`, { entries: [{ kind: 'rekord', apiVersion: '0.0.1', spec: {} }] });
    expect(answer.status).toBe(400);
  });

  test('hands out the attestation with the entry', async () => {
    const [entry] = await jsonOf<Answer[]>(
      await log.post(`${POST}/retrieve`, { entryUUIDs: [ids['intoto']?.id as string] }),
    );
    expect(Object.values(entry as Answer)[0]?.attestation?.data).toBe(b64(STATEMENT));
  });
});
