import { utf8String } from '../asn1/der.ts';
import { parseUtf8, serializeUtf8 } from '../bytes/bytes.ts';
import { sha256 } from '../crypto/hash.ts';
import { generateKey, type PrivateKey, sign } from '../crypto/private-key.ts';
import { keyFingerprint, type PublicKey, parsePublicKeyPem } from '../crypto/public-key.ts';
import { isValidSignature } from '../crypto/verify.ts';
import { distinguishedName, serializeTbsCertificate, signCertificate, tbsWithoutExtension } from '../x509/build.ts';
import { type Certificate, type Extension, parseCertificate, serializeCertificatePem } from '../x509/certificate.ts';
import {
  alternativeNamesExtension,
  authorityExtension,
  authorityKeyIdExtension,
  extendedKeyUsageExtension,
  keyUsageExtension,
  precertificatePoisonExtension,
  sctListExtension,
  subjectKeyIdExtension,
} from '../x509/extensions.ts';
import type { AlternativeName } from '../x509/names.ts';
import { OID } from '../x509/oids.ts';
import { sctSignedData } from '../x509/sct.ts';

/** Test only: a key with the certificate that names it. */
export interface Authority {
  readonly key: PrivateKey;
  readonly certificate: Certificate;
}

const DAY_MS = 86_400_000;
let serial = 1;

function issue(
  issuer: { key: PrivateKey; certificate?: Certificate },
  name: Uint8Array,
  spki: Uint8Array,
  validity: { notBefore: Date; notAfter: Date },
  extensions: readonly Extension[],
): Certificate {
  const issuerName = issuer.certificate?.subjectName ?? name;
  const tbs = serializeTbsCertificate({
    serialNumber: Uint8Array.of(1, 0, serial++),
    issuerKey: issuer.key.publicKey,
    issuerName,
    subjectName: name,
    ...validity,
    spki,
    extensions,
  });
  return parseCertificate(signCertificate(tbs, issuer.key));
}

const keyId = (key: PublicKey): Uint8Array => sha256(key.spki).subarray(0, 20);

/** Test only: a self-signed root, and below it a certificate for `usage` that is a timestamp signer or an authority. */
export function createChain(
  now: Date,
  usage: 'codeSigning' | 'timeStamping',
): { root: Certificate; issuing: Authority } {
  const validity = {
    notBefore: new Date(now.getTime() - 30 * DAY_MS),
    notAfter: new Date(now.getTime() + 3650 * DAY_MS),
  };
  const rootKey = generateKey('p256');
  const root = issue(
    { key: rootKey },
    distinguishedName({ organization: 'test', commonName: 'root' }),
    rootKey.publicKey.spki,
    validity,
    [
      keyUsageExtension('keyCertSign', 'crlSign'),
      authorityExtension(1),
      subjectKeyIdExtension(keyId(rootKey.publicKey)),
    ],
  );
  const key = generateKey('p256');
  const isAuthority = usage === 'codeSigning';
  const certificate = issue(
    { key: rootKey, certificate: root },
    distinguishedName({ organization: 'test', commonName: usage }),
    key.publicKey.spki,
    validity,
    [
      keyUsageExtension(...(isAuthority ? (['keyCertSign', 'crlSign'] as const) : (['digitalSignature'] as const))),
      ...(isAuthority ? [authorityExtension(0)] : []),
      extendedKeyUsageExtension(usage, !isAuthority),
      subjectKeyIdExtension(keyId(key.publicKey)),
      authorityKeyIdExtension(keyId(rootKey.publicKey)),
    ],
  );
  return { root, issuing: { key, certificate } };
}

/** Test only: a signing certificate as Fulcio issues it, with an SCT by `ctKey` unless that is undefined. */
export function issueSigningCertificate(options: {
  authority: Authority;
  ctKey: PrivateKey | undefined;
  key: PublicKey;
  name: AlternativeName;
  oidcIssuer: string;
  now: Date;
  lifetimeMs: number;
}): Certificate {
  const { authority, ctKey, key, now } = options;
  const validity = { notBefore: now, notAfter: new Date(now.getTime() + options.lifetimeMs) };
  const profile = [
    keyUsageExtension('digitalSignature'),
    extendedKeyUsageExtension('codeSigning'),
    authorityKeyIdExtension(keyId(authority.key.publicKey)),
    alternativeNamesExtension(options.name),
    { oid: `${OID.fulcio}.8`, critical: false, value: utf8String(options.oidcIssuer) },
  ];
  const certify = (extra: readonly Extension[]): Certificate =>
    issue(authority, distinguishedName({}), key.spki, validity, [...profile, ...extra]);
  if (ctKey === undefined) return certify([]);

  const used = serial;
  const precertificate = certify([precertificatePoisonExtension()]);
  serial = used;
  const promise = { timestamp: BigInt(now.getTime()), extensions: new Uint8Array() };
  const signed = sctSignedData(promise, {
    kind: 'precertificate',
    issuerKeyHash: sha256(authority.certificate.spki),
    tbs: tbsWithoutExtension(precertificate.tbs, OID.precertificatePoison),
  });
  const sct = {
    ...promise,
    logId: keyFingerprint(ctKey.publicKey),
    hashAlgorithm: 4,
    signatureAlgorithm: 3,
    signature: sign(ctKey, signed),
  };
  return certify([sctListExtension([sct])]);
}

/** Test only: what the fake CA of testing.ts reads of a request; the proof of possession is verified over `text`. */
export function readCertificateRequest(
  body: string,
  text: (jwt: string) => string,
): { key: PublicKey; jwt: string } | undefined {
  const json = JSON.parse(body) as {
    credentials: { oidcIdentityToken: string };
    publicKeyRequest: { publicKey: { content: string }; proofOfPossession: string };
  };
  const jwt = json.credentials.oidcIdentityToken;
  const key = parsePublicKeyPem(json.publicKeyRequest.publicKey.content);
  const proof = new Uint8Array(Buffer.from(json.publicKeyRequest.proofOfPossession, 'base64'));
  return isValidSignature(key, 'sha256', serializeUtf8(text(jwt)), proof) ? { key, jwt } : undefined;
}

/** Test only: the claims of a token, unverified. */
export function claimsOf(jwt: string): Record<string, unknown> {
  return JSON.parse(parseUtf8(new Uint8Array(Buffer.from(jwt.split('.')[1] ?? '', 'base64url')))) as Record<
    string,
    unknown
  >;
}

export const chainPems = (...certificates: readonly Certificate[]): string[] =>
  certificates.map(serializeCertificatePem);
