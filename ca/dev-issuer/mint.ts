import type { JSONWebKeySet } from 'jose';
import { serializeBase64Url, serializeHex, serializeUtf8 } from '../../core/bytes/bytes.ts';
import { type PrivateKey, sign } from '../../core/crypto/private-key.ts';
import { keyFingerprint } from '../../core/crypto/public-key.ts';
import { CLIENT_ID } from './oauth.ts';

/** How long a token is valid, s: long enough to sign a release, short enough to be useless in a log. */
export const TOKEN_LIFETIME_S = 600;

/** Makes the identity tokens of a development issuer: RS256, because some clients take no other. */
export interface Mint {
  /** A signed JWT for whoever calls themselves `email`. */
  mintToken(email: string, nonce: string | undefined): Promise<string>;
  jwks(): Promise<JSONWebKeySet>;
}

export function createMint(options: { url: string; clock: () => Date; key: () => Promise<PrivateKey> }): Mint {
  // One key for the life of the process; a failure is not kept, so that the next request tries again.
  let key: Promise<PrivateKey> | undefined;
  const signingKey = (): Promise<PrivateKey> => {
    key ??= options.key().catch((cause: unknown) => {
      key = undefined;
      throw cause;
    });
    return key;
  };

  return {
    async mintToken(email, nonce) {
      const signer = await signingKey();
      const issuedAt = Math.floor(options.clock().getTime() / 1000);
      const header = { alg: 'RS256', kid: keyId(signer), typ: 'JWT' };
      const claims = {
        iss: options.url,
        sub: email,
        aud: CLIENT_ID,
        iat: issuedAt,
        nbf: issuedAt,
        exp: issuedAt + TOKEN_LIFETIME_S,
        email,
        email_verified: true,
        ...(nonce !== undefined && { nonce }),
      };
      const content = `${encode(header)}.${encode(claims)}`;
      // RS256 is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
      return `${content}.${serializeBase64Url(sign(signer, serializeUtf8(content), 'sha256'))}`;
    },
    async jwks() {
      const signer = await signingKey();
      const jwk = signer.publicKey.native.export({ format: 'jwk' });
      return { keys: [{ ...jwk, kty: 'RSA', use: 'sig', alg: 'RS256', kid: keyId(signer) }] };
    },
  };
}

const encode = (value: object): string => serializeBase64Url(serializeUtf8(JSON.stringify(value)));

const keyId = (key: PrivateKey): string => serializeHex(keyFingerprint(key.publicKey)).slice(0, 16);
