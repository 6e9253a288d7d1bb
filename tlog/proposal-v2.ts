import { serializeHashedRekordV002 } from '../core/bundle/entry.ts';
import { parseSignatureVerifier, type SignatureVerifier } from '../core/bundle/entry-v2.ts';
import { serializeHex } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import type { Json } from '../core/bytes/json.ts';
import { KEY_DETAILS } from '../core/crypto/algorithms.ts';
import type { AsyncVerifier } from '../core/crypto/async-verifier.ts';
import { DIGEST_BYTES, digest as digestOf, type HashName, sha256 } from '../core/crypto/hash.ts';
import { defaultHash, type PublicKey, parsePublicKey } from '../core/crypto/public-key.ts';
import { parseEnvelope, preAuthEncoding } from '../core/dsse/envelope.ts';
import { InputError } from '../core/errors.ts';
import { MAX_LOGGED_SIGNATURES, MAX_TILE_ENTRY_BYTES } from '../core/limits.ts';
import { parseCertificate } from '../core/x509/certificate.ts';
import { serializeEntryExtra } from './entry-extra.ts';
import { digestSearchKey } from './search-keys.ts';
import { statementSearchKeys } from './statement-keys.ts';

/** A proposal whose signature was verified: the canonical body of the hashedrekord 0.0.2 to log, and what is kept beside it. */
interface ProposalV2 {
  readonly body: Uint8Array;
  readonly extra: Uint8Array | undefined;
}

/**
 * Accepts an entry proposed to Rekor v2 (CreateEntryRequest of rekor_service.proto). An unknown member is refused. Errors: ENTRY_INVALID, KEY_*, CERTIFICATE_INVALID,
 * OVERLOADED.
 */
export async function requireProposalV2(json: Json, verifier: AsyncVerifier): Promise<ProposalV2> {
  const fields = new Fields(toCamelCase(json), '', 'ENTRY_INVALID');
  const hashedRekord = fields.optionalObject('hashedRekordRequestV002');
  const dsse = fields.optionalObject('dsseRequestV002');
  fields.end();
  if ((hashedRekord === undefined) === (dsse === undefined)) {
    throw new InputError('ENTRY_INVALID', 'one of hashedRekordRequestV002 and dsseRequestV002 is expected');
  }
  const signed = hashedRekord ? readHashedRekord(hashedRekord) : readDsse(dsse as Fields);
  const body = await requireSigned(signed, verifier);
  if (body.length > MAX_TILE_ENTRY_BYTES) {
    throw new InputError(
      'ENTRY_INVALID',
      `the entry has ${body.length} bytes, at most ${MAX_TILE_ENTRY_BYTES} can be logged`,
    );
  }
  const { searchKeys } = signed;
  return {
    body,
    extra: serializeEntryExtra({ searchKeys, attestation: undefined }),
  };
}

function readHashedRekord(fields: Fields): Signed {
  const digest = fields.bytes('digest');
  const signatureFields = fields.object('signature');
  const signature = signatureFields.bytes('content');
  const verifier = requireVerifier(signatureFields.object('verifier'));
  signatureFields.end();
  fields.end();
  return { digest, signature, verifier, searchKeys: [] };
}

/** A DSSE envelope is logged as a hashedrekord over its pre-authentication encoding, which all clients can verify. */
function readDsse(fields: Fields): Signed {
  const envelope = parseEnvelope(fields.object('envelope'));
  const { payloadType, payload, signatures } = envelope;
  const [signature, ...moreSignatures] = signatures;
  const [verifierFields, ...moreVerifiers] = fields.objects('verifiers', MAX_LOGGED_SIGNATURES);
  if (!signature || moreSignatures.length > 0) throw fields.fail('envelope.signatures', 'exactly one is expected');
  if (!verifierFields || moreVerifiers.length > 0) throw fields.fail('verifiers', 'exactly one is expected');
  const verifier = requireVerifier(verifierFields);
  fields.end();
  const digest = digestOf(verifier.hash, preAuthEncoding(payloadType, payload));
  const payloadKey = digestSearchKey('sha256', serializeHex(sha256(payload)));
  return { digest, signature: signature.sig, verifier, searchKeys: [payloadKey, ...statementSearchKeys(envelope)] };
}

interface Verifier extends SignatureVerifier {
  readonly hash: HashName;
  readonly publicKey: PublicKey;
}

/** Verifier of rekor's verifier.proto: a certificate or a key, which has to fit the way of signing that is named. */
function requireVerifier(fields: Fields): Verifier {
  const parsed = parseSignatureVerifier(fields);
  fields.end();
  const { verifier, keyDetails } = parsed;
  const publicKey =
    'publicKey' in verifier ? parsePublicKey(verifier.publicKey) : parseCertificate(verifier.x509Certificate).publicKey;
  // What can be verified from the digest alone, with the hash that belongs to the key's size.
  const row = KEY_DETAILS[keyDetails];
  if (!row.prehashed || row.hash !== defaultHash(row))
    throw fields.fail('keyDetails', 'this algorithm is not accepted');
  if (row.kind !== publicKey.kind || ('rsaBits' in row && row.rsaBits !== publicKey.bits)) {
    throw fields.fail('keyDetails', 'the key is of another kind');
  }
  return { ...parsed, hash: row.hash, publicKey };
}

interface Signed {
  readonly digest: Uint8Array;
  readonly signature: Uint8Array;
  readonly verifier: Verifier;
  /** What the entry is found by that its body does not tell. */
  readonly searchKeys: readonly Uint8Array[];
}

async function requireSigned(
  { digest, signature, verifier }: Signed,
  asyncVerifier: AsyncVerifier,
): Promise<Uint8Array> {
  const { hash, publicKey, keyDetails } = verifier;
  if (digest.length !== DIGEST_BYTES[hash]) {
    throw new InputError('ENTRY_INVALID', `digest: ${keyDetails} takes ${DIGEST_BYTES[hash]} bytes`);
  }
  if (!(await asyncVerifier.isValidDigestSignature(publicKey, hash, digest, signature))) {
    throw new InputError('ENTRY_INVALID', 'signature: it does not verify');
  }
  return serializeHashedRekordV002({ hash, digest, signature, verifier: verifier.verifier, keyDetails });
}

/** protojson reads a field under its proto name and under its JSON name; both at once are a duplicate. */
const toCamelCase = (json: Json): Json => (hasProtoName(json) ? renamed(json) : json);

function hasProtoName(json: Json): boolean {
  if (json === null || typeof json !== 'object') return false;
  if (Array.isArray(json)) return json.some(hasProtoName);
  for (const key of Object.keys(json)) if (key.includes('_') || hasProtoName(json[key] as Json)) return true;
  return false;
}

function renamed(json: Json): Json {
  if (Array.isArray(json)) return json.map(renamed);
  if (json === null || typeof json !== 'object') return json;
  const members = Object.entries(json).map(
    ([key, value]) => [key.replace(/_([a-z0-9])/g, (_, next: string) => next.toUpperCase()), renamed(value)] as const,
  );
  if (new Set(members.map(([key]) => key)).size !== members.length) {
    throw new InputError('ENTRY_INVALID', 'a field is given twice');
  }
  return Object.fromEntries(members);
}
