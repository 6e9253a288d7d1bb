import { describe, expect, test } from 'bun:test';
import { parseUtf8, serializeBase64, serializeHex, serializeUtf8 } from '../bytes/bytes.ts';
import { canonicalizeJson, type Json } from '../bytes/json.ts';
import { HallmarkError } from '../errors.ts';
import {
  dialectOf,
  parseEntryBody,
  serializeDsseV001,
  serializeHashedRekordV001,
  serializeHashedRekordV002,
} from './entry.ts';

const b64 = (text: string): string => serializeBase64(serializeUtf8(text));
const PEM = '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n';
const digest = new Uint8Array(32).fill(0xab);
const sha256 = { hash: 'sha256', digest } as const;
const hashV1 = { algorithm: 'sha256', value: serializeHex(digest) };
const hashV2 = { algorithm: 'SHA2_256', digest: serializeBase64(digest) };
const signature = Uint8Array.of(1, 2, 3);
const verifier = { keyDetails: 'PKIX_ECDSA_P256_SHA_256', x509Certificate: { rawBytes: 'MAA=' } };

/** One body of every kind, as JSON. */
const BODIES = {
  'hashedrekord 0.0.1': {
    data: { hash: hashV1 },
    signature: { content: 'AQID', publicKey: { content: b64(PEM) } },
  },
  'dsse 0.0.1': {
    envelopeHash: hashV1,
    payloadHash: hashV1,
    signatures: [{ signature: 'AQID', verifier: b64(PEM) }],
  },
  'intoto 0.0.1': { content: { hash: hashV1, payloadHash: hashV1 }, publicKey: b64(PEM) },
  'intoto 0.0.2': {
    content: {
      envelope: {
        payload: b64(b64('payload')),
        payloadType: 'application/vnd.in-toto+json',
        signatures: [{ keyid: 'SHA256:key', publicKey: b64(PEM), sig: b64('AQID') }],
      },
      hash: hashV1,
      payloadHash: hashV1,
    },
  },
  'rekord 0.0.1': {
    data: { hash: hashV1 },
    signature: { content: 'AQID', format: 'x509', publicKey: { content: b64(PEM) } },
  },
  'rfc3161 0.0.1': { tsr: { content: 'AQID' } },
  'hashedrekord 0.0.2': { hashedRekordV002: { data: hashV2, signature: { content: 'AQID', verifier } } },
  'dsse 0.0.2': { dsseV002: { payloadHash: hashV2, signatures: [{ content: 'AQID', verifier }] } },
} as const satisfies Record<string, Json>;
type Kind = keyof typeof BODIES;

const bodyOf = (kind: string, spec: Json): Uint8Array => {
  const [name = '', apiVersion = ''] = kind.split(' ');
  return serializeUtf8(canonicalizeJson({ apiVersion, kind: name, spec }));
};

function refusalOf(body: Uint8Array | string): string {
  try {
    parseEntryBody(typeof body === 'string' ? serializeUtf8(body) : body);
  } catch (error) {
    if (error instanceof HallmarkError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

describe('parseEntryBody', () => {
  // Accepting implies that the body was written again and compared.
  for (const [kind, spec] of Object.entries(BODIES)) {
    test(`accepts ${kind}`, () => {
      const body = parseEntryBody(bodyOf(kind, spec));
      expect(`${body.kind} ${body.version}`).toBe(kind);
      expect(dialectOf(body)).toBe(kind.endsWith('rekord 0.0.2') || kind === 'dsse 0.0.2' ? 2 : 1);
    });
  }
  test('reads hashedrekord 0.0.1', () =>
    expect(parseEntryBody(bodyOf('hashedrekord 0.0.1', BODIES['hashedrekord 0.0.1']))).toEqual({
      kind: 'hashedrekord',
      version: '0.0.1',
      ...sha256,
      signature,
      publicKeyPem: PEM,
    }));
  test('reads intoto 0.0.2, encoded twice', () =>
    expect(parseEntryBody(bodyOf('intoto 0.0.2', BODIES['intoto 0.0.2']))).toMatchObject({
      payload: serializeUtf8('payload'),
      signatures: [{ signature, publicKeyPem: PEM, keyid: 'SHA256:key' }],
    }));
  test('reads hashedrekord 0.0.2 with a public key', () => {
    const publicKey = { keyDetails: 'PKIX_ED25519_PH', publicKey: { rawBytes: 'MAA=' } };
    const spec = { hashedRekordV002: { data: hashV2, signature: { content: 'AQID', verifier: publicKey } } };
    expect(parseEntryBody(bodyOf('hashedrekord 0.0.2', spec))).toMatchObject({
      verifier: { publicKey: Uint8Array.of(0x30, 0) },
      keyDetails: 'PKIX_ED25519_PH',
    });
  });
  test('accepts intoto 0.0.1 without payload hash, 0.0.2 without payload and key ID', () => {
    expect(refusalOf(bodyOf('intoto 0.0.1', { content: { hash: hashV1 }, publicKey: b64(PEM) }))).toBe('accepted');
    const envelope = { payloadType: 'x', signatures: [{ publicKey: b64(PEM), sig: b64('AQID') }] };
    const content = { envelope, hash: hashV1, payloadHash: hashV1 };
    expect(refusalOf(bodyOf('intoto 0.0.2', { content }))).toBe('accepted');
  });
});

describe('serialize', () => {
  test('hashedrekord 0.0.1', () =>
    expect(parseUtf8(serializeHashedRekordV001({ ...sha256, signature, publicKeyPem: PEM }))).toBe(
      `{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"${hashV1.value}"}},` +
        `"signature":{"content":"AQID","publicKey":{"content":"${b64(PEM)}"}}}}`,
    ));
  test('hashedrekord 0.0.2', () =>
    expect(
      parseUtf8(
        serializeHashedRekordV002({
          ...sha256,
          signature,
          verifier: { x509Certificate: Uint8Array.of(0x30, 0) },
          keyDetails: 'PKIX_ECDSA_P256_SHA_256',
        }),
      ),
    ).toBe(
      `{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"${hashV2.digest}"},` +
        '"signature":{"content":"AQID","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","x509Certificate":{"rawBytes":"MAA="}}}}}}',
    ));
  test('dsse 0.0.1, signatures in the order of their base64', () => {
    const signatures = [Uint8Array.of(0xff), Uint8Array.of(0x00), Uint8Array.of(0x80)].map((bytes) => ({
      signature: bytes,
      verifierPem: PEM,
    }));
    const verifierText = b64(PEM);
    expect(parseUtf8(serializeDsseV001({ envelopeHash: sha256, payloadHash: sha256, signatures }))).toBe(
      `{"apiVersion":"0.0.1","kind":"dsse","spec":{"envelopeHash":${JSON.stringify(hashV1)},"payloadHash":${JSON.stringify(hashV1)},` +
        `"signatures":[{"signature":"/w==","verifier":"${verifierText}"},{"signature":"AA==","verifier":"${verifierText}"},{"signature":"gA==","verifier":"${verifierText}"}]}}`,
    );
  });
});

describe('parseEntryBody refuses', () => {
  const canonical = parseUtf8(bodyOf('hashedrekord 0.0.1', BODIES['hashedrekord 0.0.1']));
  for (const [flaw, body, message] of [
    ['white space', `${canonical} `, 'ENTRY_INVALID the hashedrekord 0.0.1 entry has unknown'],
    [
      'another order of members',
      canonical.replace(/^\{("apiVersion":"0.0.1"),("kind":"hashedrekord")/, '{$2,$1'),
      'ENTRY_INVALID the',
    ],
    ['an escape that is not needed', canonical.replace('"AQID"', '"\\u0041QID"'), 'ENTRY_INVALID the'],
    ['an unknown field', canonical.replace('{"content":"AQID"', '{"a":1,"content":"AQID"'), 'ENTRY_INVALID the'],
    ['a null', canonical.replace('"kind"', '"extra":null,"kind"'), 'ENTRY_INVALID the'],
    ['a key twice', canonical.replace('"kind":', '"kind":"dsse","kind":'), 'JSON_DUPLICATE_KEY'],
    ['an unknown kind', canonical.replace('hashedrekord', 'helm'), 'ENTRY_INVALID entries of kind "helm 0.0.1"'],
    ['an unknown version', canonical.replace('0.0.1', '0.0.3'), 'ENTRY_INVALID entries of kind "hashedrekord 0.0.3"'],
    ['a version of another kind', canonical.replace('0.0.1', '0.0.2'), 'ENTRY_INVALID spec.hashedRekordV002'],
    ['a kind that every object has', canonical.replace('"hashedrekord"', '"constructor"'), 'ENTRY_INVALID entries of'],
    ['no kind', '{"apiVersion":"0.0.1"}', 'ENTRY_INVALID kind: missing'],
    ['no spec', '{"apiVersion":"0.0.1","kind":"hashedrekord"}', 'ENTRY_INVALID spec: expected an object'],
    ['a list', '[]', 'ENTRY_INVALID document'],
    ['nothing', '', 'JSON_INVALID'],
    ['a digest in capitals', canonical.replaceAll('ab', 'AB'), 'ENTRY_INVALID spec.data.hash.value'],
    [
      'a digest of the wrong length',
      canonical.replace('abab', 'ab'),
      'ENTRY_INVALID spec.data.hash.value: expected 32',
    ],
    ['an unknown hash', canonical.replace('sha256', 'sha1'), 'ENTRY_INVALID spec.data.hash.algorithm'],
    ['an empty signature', canonical.replace('AQID', ''), 'ENTRY_INVALID spec.signature.content: empty'],
    ['base64 with loose bits', canonical.replace('AQID', 'AR=='), 'ENTRY_INVALID spec.signature.content'],
    ['a key that is no text', canonical.replace(b64(PEM), '/w=='), 'ENTRY_INVALID spec.signature.publicKey.content'],
  ] as const) {
    test(flaw, () => expect(refusalOf(body)).toStartWith(message));
  }

  const change = (kind: Kind, from: string, to: string): string => {
    const text = parseUtf8(bodyOf(kind, BODIES[kind]));
    expect(text).toContain(from);
    return text.replace(from, to);
  };
  for (const [flaw, kind, from, to] of [
    ['dsse 0.0.1 without signatures', 'dsse 0.0.1', `[{"signature":"AQID","verifier":"${b64(PEM)}"}]`, '[]'],
    ['intoto 0.0.2 with a signature encoded once', 'intoto 0.0.2', b64('AQID'), 'AQID'],
    ['dsse 0.0.2 with an unknown algorithm', 'dsse 0.0.2', 'PKIX_ECDSA_P256_SHA_256', 'PKIX_NONE'],
    ['dsse 0.0.2 with an algorithm that every object has', 'dsse 0.0.2', 'PKIX_ECDSA_P256_SHA_256', 'toString'],
    ['hashedrekord 0.0.2 with a hash by its v1 name', 'hashedrekord 0.0.2', 'SHA2_256', 'sha256'],
    ['hashedrekord 0.0.2 with an empty certificate', 'hashedrekord 0.0.2', 'MAA=', ''],
    ['hashedrekord 0.0.2 without verifier', 'hashedrekord 0.0.2', '"x509Certificate":{"rawBytes":"MAA="}', '"x":1'],
    [
      'hashedrekord 0.0.2 with certificate and key',
      'hashedrekord 0.0.2',
      '"x509Certificate"',
      '"publicKey":{"rawBytes":"MAA="},"x509Certificate"',
    ],
    ['dsse 0.0.2 without signatures', 'dsse 0.0.2', `[${JSON.stringify({ content: 'AQID', verifier })}]`, '[]'],
  ] as const) {
    test(flaw, () => expect(refusalOf(change(kind, from, to))).toStartWith('ENTRY_INVALID'));
  }
  test('signatures of dsse 0.0.1 in another order', () => {
    const item = (bytes: string) => ({ signature: bytes, verifier: b64(PEM) });
    const spec = (signatures: Json) => ({ envelopeHash: hashV1, payloadHash: hashV1, signatures });
    expect(refusalOf(bodyOf('dsse 0.0.1', spec([item('AA=='), item('gA==')])))).toBe('accepted');
    expect(refusalOf(bodyOf('dsse 0.0.1', spec([item('gA=='), item('AA==')])))).toStartWith('ENTRY_INVALID');
  });
});
