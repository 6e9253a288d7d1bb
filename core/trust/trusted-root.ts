import { serializeBase64 } from '../bytes/bytes.ts';
import { Fields } from '../bytes/fields.ts';
import { type Json, parseJson } from '../bytes/json.ts';
import { KEY_DETAILS, type KeyDetails } from '../crypto/algorithms.ts';
import { type PublicKey, parsePublicKey } from '../crypto/public-key.ts';
import { InputError } from '../errors.ts';
import { MAX_CHAIN_CERTIFICATES, MAX_TRUST_INSTANCES } from '../limits.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import type { Validity } from '../x509/validity.ts';
import { parseValidity, requirePublishedUrl, validityJson } from './fields.ts';

/** A transparency log or CT log (TransparencyLogInstance of sigstore_trustroot.proto). */
export interface LogInstance {
  readonly baseUrl: string;
  readonly publicKey: PublicKey;
  readonly keyDetails: KeyDetails;
  readonly logId: Uint8Array;
  readonly validFor: Validity;
}

/** A Fulcio instance or a timestamp authority; the chain is ordered leaf or issuer first, root last. */
export interface CertificateAuthority {
  readonly subject: { readonly organization?: string; readonly commonName?: string };
  readonly uri: string;
  readonly chain: readonly Certificate[];
  readonly validFor: Validity;
}

/** What a verifier trusts (TrustedRoot of sigstore_trustroot.proto). */
export interface TrustedRoot {
  readonly tlogs: readonly LogInstance[];
  readonly certificateAuthorities: readonly CertificateAuthority[];
  readonly ctlogs: readonly LogInstance[];
  readonly timestampAuthorities: readonly CertificateAuthority[];
}

/** The spelling that every client reads. The others are read, never written. */
const MEDIA_TYPE = 'application/vnd.dev.sigstore.trustedroot+json;version=0.1';
const MEDIA_TYPES: readonly string[] = [
  MEDIA_TYPE,
  'application/vnd.dev.sigstore.trustedroot+json;version=0.2',
  'application/vnd.dev.sigstore.trustedroot.v0.2+json',
];

const CODE = 'TRUSTED_ROOT_INVALID';

/**
 * Parses trusted_root.json. Members that are not known are passed over, for the file is authentic and may be newer than
 * this program; so are logs whose algorithm is not supported, which can vouch for nothing here, as long as another log of
 * their kind is. Keys and certificates are parsed when they are first used: TRUSTED_ROOT_INVALID, from the getter, if they
 * are not well-formed.
 */
export function parseTrustedRoot(bytes: Uint8Array): TrustedRoot {
  return parseTrustedRootJson(parseJson(bytes), '');
}

/** The same from JSON that lies at `path` within a larger document. */
export function parseTrustedRootJson(json: Json | undefined, path: string): TrustedRoot {
  const fields = new Fields(json, path, CODE);
  const mediaType = fields.string('mediaType');
  if (!MEDIA_TYPES.includes(mediaType)) {
    throw new InputError(CODE, `not a trusted root: its mediaType is ${JSON.stringify(mediaType.slice(0, 100))}`, {
      hint: `give a trusted_root.json, whose mediaType is ${MEDIA_TYPE}`,
    });
  }
  const list = (key: string): Fields[] => fields.objects(key, MAX_TRUST_INSTANCES);
  return {
    tlogs: parseLogs(fields, 'tlogs'),
    certificateAuthorities: list('certificateAuthorities').map(parseAuthority),
    ctlogs: parseLogs(fields, 'ctlogs'),
    timestampAuthorities: list('timestampAuthorities').map(parseAuthority),
  };
}

/** Parses all keys and certificates at once; throws what their getters would. For material about to be stored. */
export function requireWellFormed(root: TrustedRoot): void {
  for (const log of [...root.tlogs, ...root.ctlogs]) void log.publicKey;
  for (const authority of [...root.certificateAuthorities, ...root.timestampAuthorities]) void authority.chain;
}

// A file without logs of a kind says that none is needed. One whose logs are all unknown here says the opposite.
function parseLogs(fields: Fields, kind: 'tlogs' | 'ctlogs'): LogInstance[] {
  const listed = fields.objects(kind, MAX_TRUST_INSTANCES);
  const logs = listed.flatMap(parseLog);
  if (listed.length > 0 && logs.length === 0)
    throw fields.fail(kind, 'no log has an algorithm that is supported; use a newer version of Hallmark');
  return logs;
}

function parseLog(fields: Fields): LogInstance[] {
  const key = fields.object('publicKey');
  const keyDetails = key.string('keyDetails');
  const hash = fields.optionalString('hashAlgorithm') ?? 'SHA2_256';
  if (!isKeyDetails(keyDetails) || hash !== 'SHA2_256') return [];
  const publicKey = lazy(() => parseLogKey(key, keyDetails));
  return [
    {
      baseUrl: fields.optionalString('baseUrl') ?? '',
      get publicKey() {
        return publicKey();
      },
      keyDetails,
      logId: fields.object('logId').bytes('keyId'),
      validFor: parseValidity(key),
    },
  ];
}

const isKeyDetails = (name: string): name is KeyDetails => Object.hasOwn(KEY_DETAILS, name);

function parseLogKey(fields: Fields, keyDetails: KeyDetails): PublicKey {
  const spki = fields.bytes('rawBytes');
  const key = wellFormed(fields, () => parsePublicKey(spki));
  if (key.kind !== KEY_DETAILS[keyDetails].kind) throw fields.fail('keyDetails', `the key is not ${keyDetails}`);
  return key;
}

function parseAuthority(fields: Fields): CertificateAuthority {
  const subject = fields.optionalObject('subject');
  const organization = subject?.optionalString('organization');
  const commonName = subject?.optionalString('commonName');
  const certificates = fields.object('certChain').objects('certificates', MAX_CHAIN_CERTIFICATES);
  if (certificates.length === 0) throw fields.fail('certChain', 'no certificate');
  const chain = lazy(() =>
    certificates.map((certificate) => {
      const der = certificate.bytes('rawBytes');
      return wellFormed(certificate, () => parseCertificate(der));
    }),
  );
  return {
    subject: { ...(organization !== undefined && { organization }), ...(commonName !== undefined && { commonName }) },
    uri: fields.optionalString('uri') ?? '',
    get chain() {
      return chain();
    },
    validFor: parseValidity(fields),
  };
}

function wellFormed<T>(fields: Fields, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (cause instanceof InputError) throw fields.fail('rawBytes', cause.message, cause);
    throw cause;
  }
}

function lazy<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** trusted_root.json, indented, in the member order of the proto and with what every client reads alone: no operator, no checkpointKeyId. */
export function serializeTrustedRoot(root: TrustedRoot): string {
  return `${JSON.stringify(trustedRootJson(root), null, 2)}\n`;
}

export function trustedRootJson(root: TrustedRoot): Json {
  return {
    mediaType: MEDIA_TYPE,
    tlogs: root.tlogs.map(logJson),
    certificateAuthorities: root.certificateAuthorities.map(authorityJson),
    ctlogs: root.ctlogs.map(logJson),
    timestampAuthorities: root.timestampAuthorities.map(authorityJson),
  };
}

function logJson(log: LogInstance): Json {
  return {
    baseUrl: requirePublishedUrl(log.baseUrl),
    hashAlgorithm: 'SHA2_256',
    publicKey: {
      rawBytes: serializeBase64(log.publicKey.spki),
      keyDetails: log.keyDetails,
      validFor: validityJson(log.validFor),
    },
    logId: { keyId: serializeBase64(log.logId) },
  };
}

function authorityJson(authority: CertificateAuthority): Json {
  return {
    subject: { ...authority.subject },
    uri: requirePublishedUrl(authority.uri),
    certChain: { certificates: authority.chain.map(({ der }) => ({ rawBytes: serializeBase64(der) })) },
    validFor: validityJson(authority.validFor),
  };
}
