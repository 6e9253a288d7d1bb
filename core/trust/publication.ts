import { serializeUtf8 } from '../bytes/bytes.ts';
import { type PublicKey, serializePublicKeyPem } from '../crypto/public-key.ts';
import { type Certificate, serializeCertificatePem } from '../x509/certificate.ts';
import type { Validity } from '../x509/validity.ts';
import { serializeClientTrustConfig } from './client-trust-config.ts';
import { composeAuthority, composeLog } from './compose.ts';
import { type Service, type SigningConfig, serializeSigningConfig } from './signing-config.ts';
import { type CertificateAuthority, type LogInstance, serializeTrustedRoot, type TrustedRoot } from './trusted-root.ts';
import type { RepositoryTarget } from './tuf/repository.ts';

/** A log that a stack runs, or a shard of one, as verifiers have to know it. */
export interface PublishedLog {
  readonly publicKey: PublicKey;
  readonly logId: Uint8Array;
  /** Without a final slash. */
  readonly baseUrl: string;
  /** When its key came into use; undefined: at the beginning. */
  readonly since: Date | undefined;
  /** When another key took over; undefined: it is in use. */
  readonly until: Date | undefined;
}

/** What a stack has and where; a part that does not run is undefined. */
export interface Instance {
  /** Without a final slash. */
  readonly publicUrl: string;
  /** Begin of every validity: a whole second, for cosign fails within a second that starts with a fraction. */
  readonly validFrom: Date;
  /** Issuing certificate first, root last. */
  readonly caChain: readonly Certificate[] | undefined;
  /** Leaf first, root last. */
  readonly tsaChain: readonly Certificate[] | undefined;
  readonly ctLog: Pick<PublishedLog, 'publicKey' | 'logId'> | undefined;
  /** Shards in their order, the one in use last; none where the log does not run. */
  readonly rekorV1: readonly PublishedLog[];
  readonly rekorV2: readonly PublishedLog[];
  /** OIDC issuer that clients log in with. */
  readonly issuer: string | undefined;
}

export interface Document {
  readonly contentType: string;
  readonly bytes: Uint8Array;
}

/** The documents that a stack publishes, by their path below the public URL, and what its TUF repository carries. */
export interface Publication {
  readonly documents: ReadonlyMap<string, Document>;
  readonly targets: readonly RepositoryTarget[];
}

/**
 * Trusted root, signing configs and keys of an instance. No file lists both Rekor versions, as clients choose differently;
 * what is no longer in use stays in the trusted root, for what was logged there stays true.
 */
export function publicationOf(instance: Instance): Publication {
  const trustedRoot = trustedRootOf(instance);
  const v1 = signingConfigOf(instance, 1);
  const v2 = signingConfigOf(instance, 2);
  const json = (text: string): Document => ({ contentType: 'application/json', bytes: serializeUtf8(text) });
  const pem = (text: string): Document => ({ contentType: 'application/x-pem-file', bytes: serializeUtf8(text) });
  const chainPem = (chain: readonly Certificate[]): Document => pem(chain.map(serializeCertificatePem).join(''));

  const documents = new Map<string, Document>([
    ['/trusted_root.json', json(serializeTrustedRoot(trustedRoot))],
    ['/signing_config.v0.2.json', json(serializeSigningConfig(v1))],
    ['/signing_config_rekor_v2.v0.2.json', json(serializeSigningConfig(v2))],
    ['/client_trust_config.json', json(serializeClientTrustConfig({ trustedRoot, signingConfig: v1 }))],
    ['/client_trust_config_rekor_v2.json', json(serializeClientTrustConfig({ trustedRoot, signingConfig: v2 }))],
  ]);
  const { rekorV1, ctLog, caChain, tsaChain, publicUrl } = instance;
  const activeV1 = rekorV1.at(-1);
  if (activeV1) documents.set('/rekor.pub', pem(serializePublicKeyPem(activeV1.publicKey)));
  if (ctLog) documents.set('/ctfe.pub', pem(serializePublicKeyPem(ctLog.publicKey)));
  if (caChain) documents.set('/fulcio.pem', chainPem(caChain));
  if (tsaChain) documents.set('/tsa.pem', chainPem(tsaChain));

  // Older clients know keys by these target names and uses instead of reading trusted_root.json.
  const LEGACY = [
    ['/rekor.pub', 'rekor.pub', 'Rekor'],
    ['/ctfe.pub', 'ctfe.pub', 'CTFE'],
    ['/fulcio.pem', 'fulcio.crt.pem', 'Fulcio'],
    ['/tsa.pem', 'tsa.crt.pem', 'TSA'],
  ] as const;
  const targets: RepositoryTarget[] = [];
  for (const name of ['trusted_root.json', 'signing_config.v0.2.json', 'signing_config_rekor_v2.v0.2.json']) {
    const document = documents.get(`/${name}`);
    if (document) targets.push({ name, bytes: document.bytes });
  }
  for (const [path, name, usage] of LEGACY) {
    const document = documents.get(path);
    if (document) targets.push({ name, bytes: document.bytes, legacy: { usage, uri: publicUrl, status: 'Active' } });
  }
  for (const [i, { publicKey }] of rekorV1.slice(0, -1).entries()) {
    const bytes = serializeUtf8(serializePublicKeyPem(publicKey));
    targets.push({ name: `rekor-${i + 1}.pub`, bytes, legacy: { usage: 'Rekor', uri: publicUrl, status: 'Expired' } });
  }
  return { documents, targets };
}

/** How far a client's clock, or the answer of a timestamp authority, may be off the moment at which a key took over. */
const TURN_MS = 60_000;

function validityOf({ since, until }: PublishedLog, beginning: Date): Validity {
  // Whole seconds, as of every validity that is published.
  const whole = (milliseconds: number): Date => new Date(Math.floor(milliseconds / 1000) * 1000);
  return {
    start: since === undefined ? beginning : whole(since.getTime() - TURN_MS),
    end: until && whole(until.getTime() + TURN_MS),
  };
}

function trustedRootOf(instance: Instance): TrustedRoot {
  const validFor = { start: instance.validFrom, end: undefined };
  const logs = (published: readonly PublishedLog[]): LogInstance[] =>
    published.map((log) => composeLog(log.baseUrl, log.publicKey, log.logId, validityOf(log, instance.validFrom)));
  const { ctLog, publicUrl } = instance;
  const authority = (chain: readonly Certificate[] | undefined, uri: string): CertificateAuthority[] =>
    chain === undefined || chain.length === 0 ? [] : [composeAuthority(chain, uri, validFor)];
  return {
    tlogs: [...logs(instance.rekorV1), ...logs(instance.rekorV2)],
    certificateAuthorities: authority(instance.caChain, instance.publicUrl),
    ctlogs: ctLog ? [composeLog(publicUrl, ctLog.publicKey, ctLog.logId, validFor)] : [],
    timestampAuthorities: authority(instance.tsaChain, `${instance.publicUrl}/api/v1/timestamp`),
  };
}

function signingConfigOf(instance: Instance, rekorVersion: 1 | 2): SigningConfig {
  const { publicUrl, issuer } = instance;
  const always = { start: instance.validFrom, end: undefined };
  const service = (url: string, majorApiVersion: number, validFor: Validity = always): Service => ({
    url,
    majorApiVersion,
    validFor,
    operator: new URL(publicUrl).hostname,
  });
  const rekor = (rekorVersion === 1 ? instance.rekorV1 : instance.rekorV2).at(-1);
  return {
    caUrls: instance.caChain ? [service(publicUrl, 1)] : [],
    oidcUrls: issuer === undefined ? [] : [service(issuer, 1)],
    // At its own URL, the shard that is in use takes over; at the same URL nothing changes for who signs.
    rekorTlogUrls: rekor
      ? [
          rekor.baseUrl === publicUrl
            ? service(publicUrl, rekorVersion)
            : service(rekor.baseUrl, rekorVersion, validityOf(rekor, instance.validFrom)),
        ]
      : [],
    tsaUrls: instance.tsaChain ? [service(`${publicUrl}/api/v1/timestamp`, 1)] : [],
    // Both are always there: cosign ends with a panic where one is missing.
    rekorTlogConfig: { selector: 'ANY' },
    tsaConfig: { selector: 'ANY' },
  };
}
