import { serializeDsseV001, serializeEntryBody } from '../core/bundle/entry.ts';
import { parseBase64, parseHex, parseUtf8, serializeUtf8 } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import { parseJson } from '../core/bytes/json.ts';
import type { AsyncVerifier } from '../core/crypto/async-verifier.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { type Envelope, parseEnvelope, preAuthEncoding } from '../core/dsse/envelope.ts';
import { InputError } from '../core/errors.ts';
import { MAX_ATTESTATION_BYTES, MAX_LOG_REQUEST_MEMBERS, MAX_LOGGED_SIGNATURES } from '../core/limits.ts';
import { requireEnvelopeSignatures, withMessageVerifier } from './envelope-signatures.ts';
import type { Proposal } from './proposal-v1.ts';
import { statementSearchKeys } from './statement-keys.ts';
import { parseVerifierPem } from './verifier-key.ts';

// What is costly without a signature to wait for comes before the first wait: the caller spreads that over the event loop.

/** dsse 0.0.1: the envelope as JSON text, and the verifiers of its signatures. */
export async function requireDsse(spec: Fields, asyncVerifier: AsyncVerifier): Promise<Proposal> {
  const content = spec.object('proposedContent');
  const text = content.string('envelope');
  const envelope = parseEnvelopeText(text);
  const verifiers = content.array('verifiers', MAX_LOGGED_SIGNATURES).map((item) => {
    if (typeof item !== 'string') throw content.fail('verifiers', 'expected strings');
    return parseVerifierPem(parseBase64(item));
  });
  const envelopeDigest = sha256(serializeUtf8(text));
  const payloadDigest = sha256(envelope.payload);
  const searchKeys = statementSearchKeys(envelope);
  const signatures = await requireEnvelopeSignatures(envelope, verifiers, asyncVerifier);
  return {
    body: serializeDsseV001({
      envelopeHash: { hash: 'sha256', digest: envelopeDigest },
      payloadHash: { hash: 'sha256', digest: payloadDigest },
      signatures: signatures.map(({ signature, verifier }) => ({ signature, verifierPem: verifier.pem })),
    }),
    searchKeys,
    attestation: undefined,
  };
}

/** intoto 0.0.1: the envelope as JSON text and one key, by which it is signed at least once. */
export async function requireIntotoV001(spec: Fields, asyncVerifier: AsyncVerifier): Promise<Proposal> {
  const content = spec.object('content');
  const text = content.string('envelope');
  const envelope = parseEnvelopeText(text);
  const verifier = parseVerifierPem(spec.bytes('publicKey'));
  const envelopeDigest = sha256(serializeUtf8(text));
  const payloadDigest = sha256(envelope.payload);
  const searchKeys = statementSearchKeys(envelope);
  const isSigned = await withMessageVerifier(
    preAuthEncoding(envelope.payloadType, envelope.payload),
    envelope.signatures.map(({ sig }) => [verifier, sig] as const),
    asyncVerifier,
    async (isSignature) => {
      for (const { sig } of envelope.signatures) if (await isSignature(verifier, sig)) return true;
      return false;
    },
  );
  if (!isSigned) throw content.fail('envelope', 'no signature verifies with the public key');
  return {
    body: serializeEntryBody({
      kind: 'intoto',
      version: '0.0.1',
      envelopeHash: { hash: 'sha256', digest: envelopeDigest },
      payloadHash: { hash: 'sha256', digest: payloadDigest },
      publicKeyPem: verifier.pem,
    }),
    searchKeys,
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
  const items = fields.objects('signatures', MAX_LOGGED_SIGNATURES).map((item) => {
    const pem = item.bytes('publicKey');
    return {
      item,
      signature: base64Twice(item, 'sig'),
      publicKeyPem: parseUtf8(pem),
      keyid: item.optionalString('keyid') || undefined,
      verifier: parseVerifierPem(pem),
    };
  });
  if (items.length === 0) throw fields.fail('signatures', 'missing');
  const envelope = { payloadType, payload, signatures: [] };
  const envelopeDigest = requireClientHash(content.object('hash'));
  const payloadDigest = sha256(payload);
  const searchKeys = statementSearchKeys(envelope);
  await withMessageVerifier(
    preAuthEncoding(payloadType, payload),
    items.map(({ verifier, signature }) => [verifier, signature] as const),
    asyncVerifier,
    async (isSignature) => {
      for (const { item, verifier, signature } of items) {
        if (!(await isSignature(verifier, signature))) throw item.fail('sig', 'it does not verify with its public key');
      }
    },
  );
  return {
    body: serializeEntryBody({
      kind: 'intoto',
      version: '0.0.2',
      payloadType,
      payload: undefined,
      envelopeHash: { hash: 'sha256', digest: envelopeDigest },
      payloadHash: { hash: 'sha256', digest: payloadDigest },
      signatures: items.map(({ signature, publicKeyPem, keyid }) => ({ signature, publicKeyPem, keyid })),
    }),
    searchKeys,
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

const attestationOf = ({ payload }: Envelope): Uint8Array | undefined =>
  payload.length <= MAX_ATTESTATION_BYTES ? payload : undefined;
