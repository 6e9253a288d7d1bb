import { parseBase64, serializeBase64 } from '../bytes/bytes.ts';
import { Fields } from '../bytes/fields.ts';
import { type Json, parseJson } from '../bytes/json.ts';
import type { HashName } from '../crypto/hash.ts';
import { type Envelope, envelopeJson, parseEnvelope } from '../dsse/envelope.ts';
import { InputError, withEvidence } from '../errors.ts';
import {
  MAX_BUNDLE_BYTES,
  MAX_BUNDLE_MEMBERS,
  MAX_CERTIFICATE_BYTES,
  MAX_CHAIN_CERTIFICATES,
  MAX_LOG_SIZE,
  MAX_PROOF_HASHES,
  MAX_TIMESTAMP_BYTES,
  MAX_TIMESTAMPS,
  MAX_TLOG_ENTRIES,
  MAX_UNIX_SECONDS,
} from '../limits.ts';
import { digestAlgorithmOf, parseHashOutput, someBytes } from './entry-fields.ts';

type BundleVersion = '0.1' | '0.2' | '0.3';

/** A Sigstore bundle (sigstore_bundle.proto) as it was read: well-formed, nothing in it verified. */
export interface Bundle {
  readonly mediaType: string;
  readonly version: BundleVersion;
  readonly material: VerificationMaterial;
  readonly tlogEntries: readonly TransparencyLogEntry[];
  /** RFC 3161 responses in DER. */
  readonly timestamps: readonly Uint8Array[];
  readonly content: BundleContent;
}

/** Certificates in DER, the signer's first, one at least; or a hint which key it was, that may be empty. */
type VerificationMaterial =
  | { readonly kind: 'certificates'; readonly certificates: readonly Uint8Array[] }
  | { readonly kind: 'publicKey'; readonly hint: string };

/** `digest` is a hint that nobody signed. */
type BundleContent =
  | {
      readonly kind: 'message';
      readonly digest?: { readonly hash: HashName; readonly digest: Uint8Array };
      readonly signature: Uint8Array;
    }
  | { readonly kind: 'dsse'; readonly envelope: Envelope };

/** sigstore_rekor.proto. `logIndex` counts over all shards of a Rekor v1 log; `integratedTime` is in seconds. */
export interface TransparencyLogEntry {
  readonly logIndex: bigint;
  readonly logId: Uint8Array;
  readonly kindVersion: { readonly kind: string; readonly version: string };
  readonly integratedTime: bigint | undefined;
  readonly inclusionPromise: Uint8Array | undefined;
  readonly inclusionProof: InclusionProof | undefined;
  readonly canonicalizedBody: Uint8Array;
}

/** `logIndex` is the position in the tree of the checkpoint, which is a signed note. */
export interface InclusionProof {
  readonly logIndex: bigint;
  readonly rootHash: Uint8Array;
  readonly treeSize: bigint;
  readonly hashes: readonly Uint8Array[];
  readonly checkpoint: string | undefined;
}

const MEDIA_TYPE_V03 = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const VERSIONS: Readonly<Record<string, BundleVersion>> = {
  'application/vnd.dev.sigstore.bundle+json;version=0.1': '0.1',
  'application/vnd.dev.sigstore.bundle+json;version=0.2': '0.2',
  'application/vnd.dev.sigstore.bundle+json;version=0.3': '0.3',
  [MEDIA_TYPE_V03]: '0.3',
};
const HASH_BYTES = 32;

/**
 * Parses a bundle of version 0.1 to 0.3 in JSON (protojson). Unknown fields are refused. What a version demands of its log
 * entries is left to verification, which names it. Errors are of step `parse`. BUNDLE_INVALID, BUNDLE_VERSION_UNSUPPORTED,
 * INPUT_TOO_LARGE, JSON_*
 */
export function parseBundle(input: Uint8Array): Bundle {
  try {
    return parse(input);
  } catch (cause) {
    const evidence = cause instanceof InputError ? cause.evidence : undefined;
    return withEvidence(evidence ?? 'bundle', 'parse', () => {
      throw cause;
    });
  }
}

function parse(input: Uint8Array): Bundle {
  if (input.length > MAX_BUNDLE_BYTES) {
    throw new InputError('INPUT_TOO_LARGE', `the bundle is larger than ${MAX_BUNDLE_BYTES} bytes`);
  }
  const fields = new Fields(parseJson(input, MAX_BUNDLE_MEMBERS), '', 'BUNDLE_INVALID');
  const mediaType = fields.string('mediaType');
  const version = Object.hasOwn(VERSIONS, mediaType) ? VERSIONS[mediaType] : undefined;
  if (version === undefined) {
    throw new InputError(
      'BUNDLE_VERSION_UNSUPPORTED',
      `the media type ${JSON.stringify(mediaType.slice(0, 100))} is not one of a bundle that is supported`,
      { evidence: 'mediaType', hint: 'supported are Sigstore bundles of version 0.1, 0.2 and 0.3' },
    );
  }
  const verification = fields.object('verificationMaterial');
  const material = parseMaterial(verification, version);
  const tlogEntries = verification.objects('tlogEntries', MAX_TLOG_ENTRIES).map(parseTransparencyLogEntry);
  const timestamps = parseTimestamps(verification.optionalObject('timestampVerificationData'));
  verification.end();
  const content = parseContent(fields);
  fields.end();
  return { mediaType, version, material, tlogEntries, timestamps, content };
}

// The certificate chain of the first versions became a single certificate in 0.3.
function parseMaterial(fields: Fields, version: BundleVersion): VerificationMaterial {
  const publicKey = fields.optionalObject('publicKey');
  const chain = fields.optionalObject('x509CertificateChain');
  const single = fields.optionalObject('certificate');
  if ([publicKey, chain, single].filter((member) => member !== undefined).length !== 1) {
    throw fields.fail('certificate', 'expected exactly one of certificate, x509CertificateChain and publicKey');
  }
  if (publicKey !== undefined) {
    const hint = publicKey.optionalString('hint') ?? '';
    publicKey.end();
    return { kind: 'publicKey', hint };
  }
  if (single !== undefined) {
    if (version !== '0.3')
      throw fields.fail('certificate', `a bundle of version ${version} has an x509CertificateChain`);
    return { kind: 'certificates', certificates: [parseRawCertificate(single)] };
  }
  if (version === '0.3') throw fields.fail('x509CertificateChain', 'a bundle of version 0.3 has a single certificate');
  const certificates = chain?.objects('certificates', MAX_CHAIN_CERTIFICATES).map(parseRawCertificate) ?? [];
  if (certificates.length === 0) throw fields.fail('x509CertificateChain', 'no certificate');
  chain?.end();
  return { kind: 'certificates', certificates };
}

function parseRawCertificate(fields: Fields): Uint8Array {
  const der = someBytes(fields, 'rawBytes');
  if (der.length > MAX_CERTIFICATE_BYTES) throw fields.fail('rawBytes', `more than ${MAX_CERTIFICATE_BYTES} bytes`);
  fields.end();
  return der;
}

function parseTimestamps(fields: Fields | undefined): Uint8Array[] {
  const timestamps = fields?.objects('rfc3161Timestamps', MAX_TIMESTAMPS).map((item) => {
    const response = someBytes(item, 'signedTimestamp');
    if (response.length > MAX_TIMESTAMP_BYTES) {
      throw item.fail('signedTimestamp', `more than ${MAX_TIMESTAMP_BYTES} bytes`);
    }
    item.end();
    return response;
  });
  fields?.end();
  return timestamps ?? [];
}

function parseContent(fields: Fields): BundleContent {
  const message = fields.optionalObject('messageSignature');
  const envelope = fields.optionalObject('dsseEnvelope');
  if ((message === undefined) === (envelope === undefined)) {
    throw fields.fail('messageSignature', 'expected either messageSignature or dsseEnvelope');
  }
  if (envelope !== undefined) return { kind: 'dsse', envelope: parseEnvelope(envelope) };
  const { signature, digest } = parseMessageSignature(fields.object('messageSignature'));
  return { kind: 'message', signature, ...(digest === undefined ? {} : { digest }) };
}

function parseMessageSignature(fields: Fields): {
  signature: Uint8Array;
  digest: { hash: HashName; digest: Uint8Array } | undefined;
} {
  const output = fields.optionalObject('messageDigest');
  const digest = output === undefined ? undefined : parseHashOutput(output);
  output?.end();
  const signature = someBytes(fields, 'signature');
  fields.end();
  return { signature, digest };
}

/** Parses a log entry, of a bundle or as a Rekor v2 log answers with it. Errors carry the code of `fields`. */
export function parseTransparencyLogEntry(fields: Fields): TransparencyLogEntry {
  const logId = fields.object('logId');
  const kindVersion = fields.object('kindVersion');
  const promise = fields.optionalObject('inclusionPromise');
  const proof = fields.optionalObject('inclusionProof');
  const entry: TransparencyLogEntry = {
    // protojson leaves numbers out that are 0.
    logIndex: fields.optionalBigint('logIndex', MAX_LOG_SIZE) ?? 0n,
    logId: someBytes(logId, 'keyId'),
    kindVersion: { kind: kindVersion.string('kind'), version: kindVersion.string('version') },
    integratedTime: fields.optionalBigint('integratedTime', MAX_UNIX_SECONDS) || undefined,
    inclusionPromise: promise === undefined ? undefined : someBytes(promise, 'signedEntryTimestamp'),
    inclusionProof: proof === undefined ? undefined : parseInclusionProof(proof),
    canonicalizedBody: someBytes(fields, 'canonicalizedBody'),
  };
  for (const part of [logId, kindVersion, promise, fields]) part?.end();
  return entry;
}

function parseInclusionProof(fields: Fields): InclusionProof {
  const checkpoint = fields.optionalObject('checkpoint');
  const proof: InclusionProof = {
    logIndex: fields.optionalBigint('logIndex', MAX_LOG_SIZE) ?? 0n,
    rootHash: parseHash(fields, 'rootHash', fields.string('rootHash')),
    treeSize: fields.bigint('treeSize', MAX_LOG_SIZE),
    hashes: fields.array('hashes', MAX_PROOF_HASHES).map((hash, i) => parseHash(fields, `hashes[${i}]`, hash)),
    checkpoint: checkpoint?.optionalString('envelope') || undefined,
  };
  checkpoint?.end();
  fields.end();
  return proof;
}

function parseHash(fields: Fields, key: string, text: Json): Uint8Array {
  if (typeof text !== 'string') throw fields.fail(key, 'expected a string');
  let hash: Uint8Array;
  try {
    hash = parseBase64(text);
  } catch (cause) {
    throw fields.fail(key, 'expected base64', cause);
  }
  if (hash.length !== HASH_BYTES) throw fields.fail(key, `expected ${HASH_BYTES} bytes`);
  return hash;
}

/**
 * The bundle in version 0.3, compact JSON in the order of the proto, with the signer's certificate alone. BUNDLE_INVALID if
 * an entry of an older bundle lacks the inclusion proof that 0.3 asks for.
 */
export function serializeBundle({ material, tlogEntries, timestamps, content }: Bundle): string {
  tlogEntries.forEach(({ inclusionProof }, i) => {
    if (inclusionProof?.checkpoint === undefined) {
      throw new InputError('BUNDLE_INVALID', `log entry ${i} has no inclusion proof, which version 0.3 asks for`);
    }
  });
  return JSON.stringify({
    mediaType: MEDIA_TYPE_V03,
    verificationMaterial: {
      ...materialJson(material),
      ...(tlogEntries.length > 0 ? { tlogEntries: tlogEntries.map(serializeTransparencyLogEntry) } : {}),
      ...(timestamps.length > 0
        ? {
            timestampVerificationData: {
              rfc3161Timestamps: timestamps.map((response) => ({ signedTimestamp: serializeBase64(response) })),
            },
          }
        : {}),
    },
    ...contentJson(content),
  });
}

function materialJson(material: VerificationMaterial): { [member: string]: Json } {
  if (material.kind === 'publicKey') return { publicKey: material.hint === '' ? {} : { hint: material.hint } };
  const [leaf] = material.certificates;
  if (leaf === undefined) throw new Error('internal: a bundle without a certificate');
  return { certificate: { rawBytes: serializeBase64(leaf) } };
}

function contentJson(content: BundleContent): { [member: string]: Json } {
  if (content.kind === 'dsse') return { dsseEnvelope: envelopeJson(content.envelope) };
  const { digest, signature } = content;
  return {
    messageSignature: {
      ...(digest === undefined
        ? {}
        : {
            messageDigest: { algorithm: digestAlgorithmOf(digest.hash), digest: serializeBase64(digest.digest) },
          }),
      signature: serializeBase64(signature),
    },
  };
}

/** A log entry as JSON value, in the order of the proto; what is undefined is left out. */
export function serializeTransparencyLogEntry(entry: TransparencyLogEntry): Json {
  const { integratedTime, inclusionPromise, inclusionProof } = entry;
  return {
    logIndex: entry.logIndex.toString(),
    logId: { keyId: serializeBase64(entry.logId) },
    kindVersion: { kind: entry.kindVersion.kind, version: entry.kindVersion.version },
    ...(integratedTime === undefined ? {} : { integratedTime: integratedTime.toString() }),
    ...(inclusionPromise === undefined
      ? {}
      : { inclusionPromise: { signedEntryTimestamp: serializeBase64(inclusionPromise) } }),
    ...(inclusionProof === undefined ? {} : { inclusionProof: inclusionProofJson(inclusionProof) }),
    canonicalizedBody: serializeBase64(entry.canonicalizedBody),
  };
}

const inclusionProofJson = (proof: InclusionProof): Json => ({
  logIndex: proof.logIndex.toString(),
  rootHash: serializeBase64(proof.rootHash),
  treeSize: proof.treeSize.toString(),
  hashes: proof.hashes.map(serializeBase64),
  ...(proof.checkpoint === undefined ? {} : { checkpoint: { envelope: proof.checkpoint } }),
});
