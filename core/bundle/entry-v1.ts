import { parseBase64, serializeBase64, serializeHex, serializeUtf8 } from '../bytes/bytes.ts';
import type { Fields } from '../bytes/fields.ts';
import type { Json } from '../bytes/json.ts';
import { MAX_LOGGED_SIGNATURES } from '../limits.ts';
import { base64Text, type NamedDigest, parseHexDigest, someBytes } from './entry-fields.ts';

/** A signature over a digest. `publicKeyPem` holds the certificate or public key as it was logged. */
export interface HashedRekordV001 extends NamedDigest {
  readonly kind: 'hashedrekord';
  readonly version: '0.0.1';
  readonly signature: Uint8Array;
  readonly publicKeyPem: string;
}

/** A DSSE envelope that itself is not stored: hashes of its JSON text and its payload, and the signatures over its PAE. */
export interface DsseV001 {
  readonly kind: 'dsse';
  readonly version: '0.0.1';
  readonly envelopeHash: NamedDigest;
  readonly payloadHash: NamedDigest;
  readonly signatures: readonly { readonly signature: Uint8Array; readonly verifierPem: string }[];
}

/** An envelope by hashes alone. Early entries lack the payload's. The signature is not in it. */
export interface IntotoV001 {
  readonly kind: 'intoto';
  readonly version: '0.0.1';
  readonly envelopeHash: NamedDigest;
  readonly payloadHash: NamedDigest | undefined;
  readonly publicKeyPem: string;
}

/** An envelope with its signatures; private logs keep the payload too. */
export interface IntotoV002 {
  readonly kind: 'intoto';
  readonly version: '0.0.2';
  readonly payloadType: string;
  readonly payload: Uint8Array | undefined;
  readonly envelopeHash: NamedDigest;
  readonly payloadHash: NamedDigest;
  readonly signatures: readonly {
    readonly signature: Uint8Array;
    readonly publicKeyPem: string;
    readonly keyid: string | undefined;
  }[];
}

/** A signature over an artifact that was sent along, by a key or certificate of X.509; the artifact itself is not stored. */
export interface RekordV001 extends NamedDigest {
  readonly kind: 'rekord';
  readonly version: '0.0.1';
  readonly hash: 'sha256';
  readonly signature: Uint8Array;
  readonly publicKeyPem: string;
}

/** A signed timestamp: the DER of a TimeStampResp. */
export interface Rfc3161V001 {
  readonly kind: 'rfc3161';
  readonly version: '0.0.1';
  readonly timestamp: Uint8Array;
}

const hashJson = ({ hash, digest }: NamedDigest): Json => ({ algorithm: hash, value: serializeHex(digest) });
const textJson = (text: string): string => serializeBase64(serializeUtf8(text));

export function parseHashedRekordV001(spec: Fields): HashedRekordV001 {
  const signature = spec.object('signature');
  return {
    kind: 'hashedrekord',
    version: '0.0.1',
    ...parseHexDigest(spec.object('data').object('hash')),
    signature: someBytes(signature, 'content'),
    publicKeyPem: base64Text(signature.object('publicKey'), 'content'),
  };
}

export const hashedRekordV001Json = (body: Omit<HashedRekordV001, 'kind' | 'version'>): Json => ({
  data: { hash: hashJson(body) },
  signature: { content: serializeBase64(body.signature), publicKey: { content: textJson(body.publicKeyPem) } },
});

export function parseDsseV001(spec: Fields): DsseV001 {
  return {
    kind: 'dsse',
    version: '0.0.1',
    envelopeHash: parseHexDigest(spec.object('envelopeHash')),
    payloadHash: parseHexDigest(spec.object('payloadHash')),
    signatures: someObjects(spec, 'signatures').map((item) => ({
      signature: someBytes(item, 'signature'),
      verifierPem: base64Text(item, 'verifier'),
    })),
  };
}

/** Signatures are sorted by their base64 text, as Rekor does. */
export const dsseV001Json = (body: Omit<DsseV001, 'kind' | 'version'>): Json => ({
  envelopeHash: hashJson(body.envelopeHash),
  payloadHash: hashJson(body.payloadHash),
  signatures: body.signatures
    .map(({ signature, verifierPem }) => ({ signature: serializeBase64(signature), verifier: textJson(verifierPem) }))
    .sort((a, b) => (a.signature < b.signature ? -1 : a.signature > b.signature ? 1 : 0)),
});

export function parseIntotoV001(spec: Fields): IntotoV001 {
  const content = spec.object('content');
  const payloadHash = content.optionalObject('payloadHash');
  return {
    kind: 'intoto',
    version: '0.0.1',
    envelopeHash: parseHexDigest(content.object('hash')),
    payloadHash: payloadHash === undefined ? undefined : parseHexDigest(payloadHash),
    publicKeyPem: base64Text(spec, 'publicKey'),
  };
}

export const intotoV001Json = ({ envelopeHash, payloadHash, publicKeyPem }: IntotoV001): Json => ({
  content: {
    hash: hashJson(envelopeHash),
    ...(payloadHash === undefined ? {} : { payloadHash: hashJson(payloadHash) }),
  },
  publicKey: textJson(publicKeyPem),
});

export function parseIntotoV002(spec: Fields): IntotoV002 {
  const content = spec.object('content');
  const envelope = content.object('envelope');
  return {
    kind: 'intoto',
    version: '0.0.2',
    payloadType: envelope.string('payloadType'),
    payload: envelope.has('payload') ? base64Twice(envelope, 'payload') : undefined,
    envelopeHash: parseHexDigest(content.object('hash')),
    payloadHash: parseHexDigest(content.object('payloadHash')),
    signatures: someObjects(envelope, 'signatures').map((item) => ({
      signature: base64Twice(item, 'sig'),
      publicKeyPem: base64Text(item, 'publicKey'),
      keyid: item.optionalString('keyid'),
    })),
  };
}

export const intotoV002Json = (body: IntotoV002): Json => ({
  content: {
    envelope: {
      ...(body.payload === undefined ? {} : { payload: textJson(serializeBase64(body.payload)) }),
      payloadType: body.payloadType,
      signatures: body.signatures.map(({ signature, publicKeyPem, keyid }) => ({
        ...(keyid === undefined ? {} : { keyid }),
        publicKey: textJson(publicKeyPem),
        sig: textJson(serializeBase64(signature)),
      })),
    },
    hash: hashJson(body.envelopeHash),
    payloadHash: hashJson(body.payloadHash),
  },
});

export function parseRekordV001(spec: Fields): RekordV001 {
  const signature = spec.object('signature');
  if (signature.string('format') !== 'x509') throw signature.fail('format', 'expected x509');
  const hashFields = spec.object('data').object('hash');
  const { hash, digest } = parseHexDigest(hashFields);
  if (hash !== 'sha256') throw hashFields.fail('algorithm', 'expected sha256');
  return {
    kind: 'rekord',
    version: '0.0.1',
    hash,
    digest,
    signature: someBytes(signature, 'content'),
    publicKeyPem: base64Text(signature.object('publicKey'), 'content'),
  };
}

export const rekordV001Json = (body: RekordV001): Json => ({
  data: { hash: hashJson(body) },
  signature: {
    content: serializeBase64(body.signature),
    format: 'x509',
    publicKey: { content: textJson(body.publicKeyPem) },
  },
});

export const parseRfc3161V001 = (spec: Fields): Rfc3161V001 => ({
  kind: 'rfc3161',
  version: '0.0.1',
  timestamp: someBytes(spec.object('tsr'), 'content'),
});

export const rfc3161V001Json = ({ timestamp }: Rfc3161V001): Json => ({ tsr: { content: serializeBase64(timestamp) } });

function someObjects(fields: Fields, key: string): Fields[] {
  const objects = fields.objects(key, MAX_LOGGED_SIGNATURES);
  if (objects.length === 0) throw fields.fail(key, 'missing');
  return objects;
}

// The envelope's base64 text, taken for bytes and encoded again (intoto 0.0.2's schema).
function base64Twice(fields: Fields, key: string): Uint8Array {
  try {
    return parseBase64(base64Text(fields, key));
  } catch (cause) {
    throw fields.fail(key, 'expected base64 of base64', cause);
  }
}
