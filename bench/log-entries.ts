// Entries for a log: distinct, correctly signed, each with one key for all or with a key and certificate of its own.
import { randomBytes } from 'node:crypto';
import { serializeBase64, serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { keyDetailsFor } from '../core/crypto/algorithms.ts';
import { serializePem } from '../core/crypto/pem.ts';
import { generateKey, type PrivateKey, streamSigner } from '../core/crypto/private-key.ts';
import { distinguishedName, serializeTbsCertificate, signCertificate } from '../core/x509/build.ts';
import { alternativeNamesExtension, extendedKeyUsageExtension, keyUsageExtension } from '../core/x509/extensions.ts';

export type Dialect = 'v1' | 'v2';

/** Who signs: the DER of a SubjectPublicKeyInfo or of a certificate. */
export interface Signer {
  readonly key: PrivateKey;
  readonly der: Uint8Array;
  readonly isCertificate: boolean;
}

const issuer = generateKey('p256');
const issuerName = distinguishedName({ commonName: 'benchmark' });

export function keySigner(): Signer {
  const key = generateKey('p256');
  return { key, der: key.publicKey.spki, isCertificate: false };
}

/** A certificate of ten minutes for `user<number>@example.com`, the number in ten digits. */
export function certificateSigner(number: number): Signer {
  const key = generateKey('p256');
  const now = Date.now();
  const tbs = serializeTbsCertificate({
    serialNumber: Uint8Array.of(0x40, ...randomBytes(15)),
    issuerKey: issuer.publicKey,
    issuerName,
    subjectName: distinguishedName({}),
    notBefore: new Date(now - 60_000),
    notAfter: new Date(now + 600_000),
    spki: key.publicKey.spki,
    extensions: [
      keyUsageExtension('digitalSignature'),
      extendedKeyUsageExtension('codeSigning'),
      alternativeNamesExtension({ kind: 'email', value: `user${`${number}`.padStart(10, '0')}@example.com` }),
    ],
  });
  return { key, der: signCertificate(tbs, issuer), isCertificate: true };
}

/** The body of a request to log a signature over something that nobody signed before. */
export function request(dialect: Dialect, { key, der, isCertificate }: Signer): string {
  const artifact = randomBytes(32);
  const signer = streamSigner(key);
  signer.update(artifact);
  const { digest, hash, signature } = signer.finish();
  const content = serializeBase64(signature);
  if (dialect === 'v2') {
    const rawBytes = serializeBase64(der);
    const verifier = isCertificate ? { x509Certificate: { rawBytes } } : { publicKey: { rawBytes } };
    return JSON.stringify({
      hashedRekordRequestV002: {
        digest: serializeBase64(digest),
        signature: { content, verifier: { ...verifier, keyDetails: keyDetailsFor(key.publicKey, 'digest') } },
      },
    });
  }
  const pem = serializePem(isCertificate ? 'CERTIFICATE' : 'PUBLIC KEY', der);
  return JSON.stringify({
    apiVersion: '0.0.1',
    kind: 'hashedrekord',
    spec: {
      data: { hash: { algorithm: hash, value: serializeHex(digest) } },
      signature: { content, publicKey: { content: serializeBase64(serializeUtf8(pem)) } },
    },
  });
}
