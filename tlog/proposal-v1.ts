import { serializeDsseV001, serializeHashedRekordV001 } from '../core/bundle/entry.ts';
import type { NamedDigest } from '../core/bundle/entry-fields.ts';
import { parseBase64, parseHex, serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import type { Json } from '../core/bytes/json.ts';
import type { AsyncVerifier } from '../core/crypto/async-verifier.ts';
import { DIGEST_BYTES, type HashName, sha256 } from '../core/crypto/hash.ts';
import { parseEnvelope } from '../core/dsse/envelope.ts';
import { InputError } from '../core/errors.ts';
import { MAX_LOGGED_SIGNATURES } from '../core/limits.ts';
import { requireEnvelopeSignatures } from './envelope-signatures.ts';
import { digestSearchKey, verifierSearchKeys } from './search-keys.ts';
import { statementSearchKeys } from './statement-keys.ts';
import { parseVerifierPem } from './verifier-key.ts';

/** A proposal whose signatures were verified: the canonical body to log, and the keys under which to find it. */
export interface Proposal {
  readonly body: Uint8Array;
  readonly searchKeys: readonly Uint8Array[];
}

/**
 * Accepts an entry proposed to Rekor v1: its shape is known, every signature verifies. As in the reference, members that
 * are not known are ignored. Errors: ENTRY_INVALID, those of keys, certificates and envelopes, OVERLOADED.
 */
export async function requireProposal(json: Json, verifier: AsyncVerifier): Promise<Proposal> {
  const fields = new Fields(json, '', 'ENTRY_INVALID');
  const kind = fields.string('kind');
  const version = fields.string('apiVersion');
  const require = PROPOSALS[`${kind} ${version}`];
  if (!require) {
    const known = Object.keys(PROPOSALS).join(', ');
    throw new InputError('ENTRY_INVALID', `entry kind ${show(kind)} ${show(version)} is not accepted, only ${known}`);
  }
  return require(fields.object('spec'), verifier);
}

const PROPOSALS: Readonly<Record<string, (spec: Fields, verifier: AsyncVerifier) => Promise<Proposal>>> = {
  __proto__: null as never,
  'hashedrekord 0.0.1': requireHashedRekord,
  'dsse 0.0.1': requireDsse,
};

async function requireHashedRekord(spec: Fields, asyncVerifier: AsyncVerifier): Promise<Proposal> {
  const signatureFields = spec.object('signature');
  const signature = signatureFields.bytes('content');
  const verifier = parseVerifierPem(signatureFields.object('publicKey').bytes('content'));
  const hashFields = spec.object('data').object('hash');
  const hash = hashFields.string('algorithm');
  if (!isHashName(hash)) throw hashFields.fail('algorithm', 'expected sha256, sha384 or sha512');
  const value = hashFields.string('value').toLowerCase();
  if (value.length !== 2 * DIGEST_BYTES[hash])
    throw hashFields.fail('value', `expected a ${hash} digest in hexadecimal`);
  const digest = parseHex(value);
  if (verifier.publicKey.kind === 'ed25519' && hash !== 'sha512') {
    throw signatureFields.fail('content', 'Ed25519 signs a digest only as Ed25519ph, over sha512');
  }
  if (!(await asyncVerifier.isValidDigestSignature(verifier.publicKey, hash, digest, signature))) {
    throw signatureFields.fail('content', 'the signature does not verify');
  }
  return {
    body: serializeHashedRekordV001({ hash, digest, signature, publicKeyPem: verifier.pem }),
    searchKeys: [digestSearchKey(hash, value), ...verifierSearchKeys(verifier)],
  };
}

async function requireDsse(spec: Fields, asyncVerifier: AsyncVerifier): Promise<Proposal> {
  const content = spec.object('proposedContent');
  const envelopeText = content.string('envelope');
  const envelope = parseEnvelope(envelopeText, 'ignored');
  const verifiers = content.array('verifiers', MAX_LOGGED_SIGNATURES).map((item) => {
    if (typeof item !== 'string') throw content.fail('verifiers', 'expected strings');
    return parseVerifierPem(parseBase64(item));
  });
  const signatures = await requireEnvelopeSignatures(envelope, verifiers, asyncVerifier);
  const envelopeHash: NamedDigest = { hash: 'sha256', digest: sha256(serializeUtf8(envelopeText)) };
  const payloadHash: NamedDigest = { hash: 'sha256', digest: sha256(envelope.payload) };
  return {
    body: serializeDsseV001({
      envelopeHash,
      payloadHash,
      signatures: signatures.map(({ signature, verifier }) => ({ signature, verifierPem: verifier.pem })),
    }),
    searchKeys: [
      digestSearchKey('sha256', serializeHex(envelopeHash.digest)),
      digestSearchKey('sha256', serializeHex(payloadHash.digest)),
      ...verifiers.flatMap(verifierSearchKeys),
      ...statementSearchKeys(envelope),
    ],
  };
}

function isHashName(name: string): name is HashName {
  return Object.hasOwn(DIGEST_BYTES, name);
}

const show = (text: string): string => JSON.stringify(text.slice(0, 40));
