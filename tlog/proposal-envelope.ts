import { serializeDsseV001, serializeEntryBody } from '../core/bundle/entry.ts';
import { parseBase64, parseHex, parseUtf8, serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import { parseJson } from '../core/bytes/json.ts';
import type { AsyncVerifier } from '../core/crypto/async-verifier.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { type Envelope, parseEnvelope, preAuthEncoding } from '../core/dsse/envelope.ts';
import { InputError } from '../core/errors.ts';
import { MAX_ATTESTATION_BYTES, MAX_LOG_REQUEST_MEMBERS, MAX_LOGGED_SIGNATURES } from '../core/limits.ts';
import { createMessageVerifier, requireEnvelopeSignatures } from './envelope-signatures.ts';
import type { Proposal } from './proposal-v1.ts';
import { digestSearchKey, verifierDigestSearchKey, verifierSearchKeys } from './search-keys.ts';
import { statementSearchKeys } from './statement-keys.ts';
import { parseVerifierPem, type VerifierKey } from './verifier-key.ts';

/** dsse 0.0.1: the envelope as JSON text, and the verifiers of its signatures. */
export async function requireDsse(spec: Fields, asyncVerifier: AsyncVerifier): Promise<Proposal> {
  const content = spec.object('proposedContent');
  const text = content.string('envelope');
  const envelope = parseEnvelopeText(text);
  const verifiers = content.array('verifiers', MAX_LOGGED_SIGNATURES).map((item) => {
    if (typeof item !== 'string') throw content.fail('verifiers', 'expected strings');
    return parseVerifierPem(parseBase64(item));
  });
  const signatures = await requireEnvelopeSignatures(envelope, verifiers, asyncVerifier);
  const envelopeDigest = sha256(serializeUtf8(text));
  const payloadDigest = sha256(envelope.payload);
  return {
    body: serializeDsseV001({
      envelopeHash: { hash: 'sha256', digest: envelopeDigest },
      payloadHash: { hash: 'sha256', digest: payloadDigest },
      signatures: signatures.map(({ signature, verifier }) => ({ signature, verifierPem: verifier.pem })),
    }),
    searchKeys: envelopeSearchKeys(envelope, verifiers, [payloadDigest, envelopeDigest]),
    attestation: undefined,
  };
}

/** intoto 0.0.1: the envelope as JSON text and one key, by which it is signed at least once. */
export async function requireIntotoV001(spec: Fields, asyncVerifier: AsyncVerifier): Promise<Proposal> {
  const content = spec.object('content');
  const text = content.string('envelope');
  const envelope = parseEnvelopeText(text);
  const verifier = parseVerifierPem(spec.bytes('publicKey'));
  const isSignature = createMessageVerifier(preAuthEncoding(envelope.payloadType, envelope.payload), asyncVerifier);
  let isSigned = false;
  for (const { sig } of envelope.signatures) isSigned ||= await isSignature(verifier, sig);
  if (!isSigned) throw content.fail('envelope', 'no signature verifies with the public key');
  const envelopeDigest = sha256(serializeUtf8(text));
  const payloadDigest = sha256(envelope.payload);
  return {
    body: serializeEntryBody({
      kind: 'intoto',
      version: '0.0.1',
      envelopeHash: { hash: 'sha256', digest: envelopeDigest },
      payloadHash: { hash: 'sha256', digest: payloadDigest },
      publicKeyPem: verifier.pem,
    }),
    searchKeys: envelopeSearchKeys(envelope, [verifier], [envelopeDigest, payloadDigest]),
    attestation: attestationOf(envelope),
  };
}

/**
 * intoto 0.0.2: the envelope as an object whose payload and signatures are in base64 twice, each signature beside its key.
 * The envelope's hash is the client's word: what was hashed is not in the request. Keys are logged as they came.
 */
export async function requireIntotoV002(spec: Fields, asyncVerifier: AsyncVerifier): Promise<Proposal> {
  const content = spec.object('content');
  const fields = content.object('envelope');
  const payloadType = fields.string('payloadType');
  if (payloadType === '' || !payloadType.isWellFormed()) throw fields.fail('payloadType', 'expected Unicode text');
  const payload = base64Twice(fields, 'payload');
  const isSignature = createMessageVerifier(preAuthEncoding(payloadType, payload), asyncVerifier);
  const signatures: {
    signature: Uint8Array;
    publicKeyPem: string;
    keyid: string | undefined;
    verifier: VerifierKey;
  }[] = [];
  for (const item of fields.objects('signatures', MAX_LOGGED_SIGNATURES)) {
    const signature = base64Twice(item, 'sig');
    const pem = item.bytes('publicKey');
    const verifier = parseVerifierPem(pem);
    if (!(await isSignature(verifier, signature))) {
      throw item.fail('sig', 'it does not verify with its public key');
    }
    const keyid = item.optionalString('keyid') || undefined;
    signatures.push({ signature, publicKeyPem: parseUtf8(pem), keyid, verifier });
  }
  if (signatures.length === 0) throw fields.fail('signatures', 'missing');
  const envelopeDigest = requireClientHash(content.object('hash'));
  const payloadDigest = sha256(payload);
  const envelope = { payloadType, payload, signatures: [] };
  return {
    body: serializeEntryBody({
      kind: 'intoto',
      version: '0.0.2',
      payloadType,
      payload: undefined,
      envelopeHash: { hash: 'sha256', digest: envelopeDigest },
      payloadHash: { hash: 'sha256', digest: payloadDigest },
      signatures: signatures.map(({ signature, publicKeyPem, keyid }) => ({ signature, publicKeyPem, keyid })),
    }),
    searchKeys: envelopeSearchKeys(
      envelope,
      signatures.map(({ verifier }) => verifier),
      [payloadDigest],
    ),
    attestation: attestationOf(envelope),
  };
}

const parseEnvelopeText = (text: string): Envelope =>
  parseEnvelope(new Fields(parseJson(text, MAX_LOG_REQUEST_MEMBERS), '', 'ENVELOPE_INVALID'), 'ignored');

function requireClientHash(fields: Fields): Uint8Array {
  if (fields.string('algorithm') !== 'sha256') throw fields.fail('algorithm', 'expected sha256');
  const value = fields.string('value');
  if (!/^[0-9a-f]{64}$/.test(value)) throw fields.fail('value', 'expected 64 digits in lower-case hexadecimal');
  return parseHex(value);
}

// Encoding is that of the envelope's own JSON, encoded once more as bytes of the schema.
function base64Twice(fields: Fields, key: string): Uint8Array {
  const encoded = fields.bytes(key);
  let bytes: Uint8Array;
  try {
    bytes = parseBase64(parseUtf8(encoded));
  } catch (cause) {
    if (!(cause instanceof InputError)) throw cause;
    throw fields.fail(key, 'expected base64 of base64', cause);
  }
  if (bytes.length === 0) throw fields.fail(key, 'empty');
  return bytes;
}

// As the reference finds envelopes: by digests, by keys, and by what the statement is about.
const envelopeSearchKeys = (
  envelope: Envelope,
  verifiers: readonly VerifierKey[],
  digests: readonly Uint8Array[],
): Uint8Array[] => [
  ...digests.map((digest) => digestSearchKey('sha256', serializeHex(digest))),
  ...verifiers.flatMap((verifier) => [verifierDigestSearchKey(verifier), ...verifierSearchKeys(verifier)]),
  ...statementSearchKeys(envelope),
];

const attestationOf = ({ payload }: Envelope): Uint8Array | undefined =>
  payload.length <= MAX_ATTESTATION_BYTES ? payload : undefined;
