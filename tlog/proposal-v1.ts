import { serializeEntryBody, serializeHashedRekordV001 } from '../core/bundle/entry.ts';
import { equal, parseHex } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import type { Json } from '../core/bytes/json.ts';
import type { AsyncVerifier } from '../core/crypto/async-verifier.ts';
import { DIGEST_BYTES, type HashName, sha256 } from '../core/crypto/hash.ts';
import { InputError } from '../core/errors.ts';
import { MAX_V1_ENTRY_BYTES } from '../core/limits.ts';
import type { EntryExtra } from './entry-extra.ts';
import { withMessageVerifier } from './envelope-signatures.ts';
import { requireDsse, requireIntotoV001, requireIntotoV002 } from './proposal-envelope.ts';
import { requireRfc3161 } from './proposal-timestamp.ts';
import { parseVerifierPem } from './verifier-key.ts';

/** A proposal whose signatures were verified: the canonical body to log, and what is kept beside it. */
export interface Proposal extends EntryExtra {
  readonly body: Uint8Array;
}

/**
 * Accepts an entry proposed to Rekor v1: its shape is known, every signature verifies. As in the reference, members that
 * are not known are ignored. Errors: ENTRY_INVALID, those of keys, certificates, envelopes and timestamps, OVERLOADED.
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
  const proposal = await require(fields.object('spec'), verifier);
  if (proposal.body.length > MAX_V1_ENTRY_BYTES) {
    const message = `the entry has ${proposal.body.length} bytes, at most ${MAX_V1_ENTRY_BYTES} can be logged`;
    throw new InputError('ENTRY_INVALID', message);
  }
  return proposal;
}

const PROPOSALS: Readonly<Record<string, (spec: Fields, verifier: AsyncVerifier) => Promise<Proposal>>> = {
  __proto__: null as never,
  'hashedrekord 0.0.1': requireHashedRekord,
  'dsse 0.0.1': requireDsse,
  'intoto 0.0.1': requireIntotoV001,
  'intoto 0.0.2': requireIntotoV002,
  'rekord 0.0.1': requireRekord,
  'rfc3161 0.0.1': requireRfc3161,
};

async function requireHashedRekord(spec: Fields, asyncVerifier: AsyncVerifier): Promise<Proposal> {
  const signatureFields = spec.object('signature');
  const signature = signatureFields.bytes('content');
  const verifier = parseVerifierPem(signatureFields.object('publicKey').bytes('content'));
  const { hash, digest } = parseProposedHash(spec.object('data').object('hash'));
  if (verifier.publicKey.kind === 'ed25519' && hash !== 'sha512') {
    throw signatureFields.fail('content', 'Ed25519 signs a digest only as Ed25519ph, over sha512');
  }
  if (!(await asyncVerifier.isValidDigestSignature(verifier.publicKey, hash, digest, signature))) {
    throw signatureFields.fail('content', 'the signature does not verify');
  }
  return {
    body: serializeHashedRekordV001({ hash, digest, signature, publicKeyPem: verifier.pem }),
    searchKeys: [],
    attestation: undefined,
  };
}

/** rekord 0.0.1: the artifact comes along and is forgotten. Of the formats of keys, x509 alone. */
async function requireRekord(spec: Fields, asyncVerifier: AsyncVerifier): Promise<Proposal> {
  const signatureFields = spec.object('signature');
  const format = signatureFields.string('format');
  if (format !== 'x509') {
    throw signatureFields.fail(
      'format',
      `${show(format)} is not accepted here, only x509: a PEM public key or certificate`,
    );
  }
  const signature = signatureFields.bytes('content');
  const verifier = parseVerifierPem(signatureFields.object('publicKey').bytes('content'));
  const data = spec.object('data');
  const content = data.bytes('content');
  const digest = sha256(content);
  const announced = data.optionalObject('hash');
  if (announced && !isDigest(parseProposedHash(announced), digest)) throw data.fail('hash', 'not that of the content');
  const isSigned = await withMessageVerifier(content, [[verifier, signature]], asyncVerifier, (isSignature) =>
    isSignature(verifier, signature),
  );
  if (!isSigned) {
    throw signatureFields.fail('content', 'the signature does not verify');
  }
  return {
    body: serializeEntryBody({
      kind: 'rekord',
      version: '0.0.1',
      hash: 'sha256',
      digest,
      signature,
      publicKeyPem: verifier.pem,
    }),
    searchKeys: [],
    attestation: undefined,
  };
}

/** `{"algorithm", "value"}` as clients send it, in digits of either case. */
function parseProposedHash(fields: Fields): { hash: HashName; digest: Uint8Array } {
  const hash = fields.string('algorithm');
  if (!isHashName(hash)) throw fields.fail('algorithm', 'expected sha256, sha384 or sha512');
  const value = fields.string('value').toLowerCase();
  if (value.length !== 2 * DIGEST_BYTES[hash]) throw fields.fail('value', `expected a ${hash} digest in hexadecimal`);
  return { hash, digest: parseHex(value) };
}

const isDigest = (announced: { hash: HashName; digest: Uint8Array }, digest: Uint8Array): boolean =>
  announced.hash === 'sha256' && equal(announced.digest, digest);

function isHashName(name: string): name is HashName {
  return Object.hasOwn(DIGEST_BYTES, name);
}

const show = (text: string): string => JSON.stringify(text.slice(0, 40));
