import { sign as nativeSign } from 'node:crypto';
import { serializeBase64Url, serializeUtf8 } from '../core/bytes/bytes.ts';
import { type PrivateKey, sign } from '../core/crypto/private-key.ts';

/** Test only: a JWT (RFC 7515 §7.1) over any header and claims; a string is taken as the payload's text. */
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
