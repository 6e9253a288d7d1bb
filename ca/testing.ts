import { sign as nativeSign, randomBytes } from 'node:crypto';
import { serializeBase64Url, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { generateKey, type PrivateKey, sign } from '../core/crypto/private-key.ts';
import { keyFingerprint } from '../core/crypto/public-key.ts';
import { tbsWithoutExtension } from '../core/x509/build.ts';
import { parseCertificate } from '../core/x509/certificate.ts';
import { OID } from '../core/x509/oids.ts';
import { type CtLog, type CtLogKey, type Sct, sctSignedData } from '../core/x509/sct.ts';

// Test only.

export const random = (bytes: number): Uint8Array => new Uint8Array(randomBytes(bytes));

/** A JWT (RFC 7515 §7.1) over any header and claims; a string is taken as the payload's text. */
export function signToken(key: PrivateKey, header: object, claims: object | string): string {
  const encode = (text: string): string => serializeBase64Url(serializeUtf8(text));
  const payload = typeof claims === 'string' ? claims : JSON.stringify(claims);
  const content = `${encode(JSON.stringify(header))}.${encode(payload)}`;
  const message = serializeUtf8(content);
  // JWS wants the plain pair of numbers for ECDSA (RFC 7518 §3.4), not DER.
  const signature =
    key.publicKey.kind === 'rsa' || key.publicKey.kind === 'ed25519'
      ? sign(key, message)
      : new Uint8Array(nativeSign('sha256', message, { key: key.native, dsaEncoding: 'ieee-p1363' }));
  return `${content}.${serializeBase64Url(signature)}`;
}

/** A CT log that signs whatever it is given, with a real key, and remembers it. */
export function memoryCtLog(clock: () => Date): { ctLog: CtLog; logKey: CtLogKey; logged: Uint8Array[] } {
  const key = generateKey('p256');
  const logId = keyFingerprint(key.publicKey);
  const logged: Uint8Array[] = [];
  return {
    logged,
    logKey: { logId, publicKey: key.publicKey, validFor: { start: undefined, end: undefined } },
    ctLog: async (precertificate, issuer): Promise<Sct> => {
      logged.push(precertificate);
      const tbs = tbsWithoutExtension(parseCertificate(precertificate).tbs, OID.precertificatePoison);
      const stamp = { timestamp: BigInt(clock().getTime()), extensions: new Uint8Array() };
      const entry = { kind: 'precertificate', issuerKeyHash: sha256(issuer.spki), tbs } as const;
      const signature = sign(key, sctSignedData(stamp, entry), 'sha256');
      return { ...stamp, logId, hashAlgorithm: 4, signatureAlgorithm: 3, signature };
    },
  };
}
