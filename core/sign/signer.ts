import type { KeyKind } from '../crypto/algorithms.ts';
import { generateKey, generateRsaKey, type PrivateKey } from '../crypto/private-key.ts';
import { TrustError } from '../errors.ts';
import type { Http } from '../http/client.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';
import type { Certificate } from '../x509/certificate.ts';
import { fetchSigningCertificate } from './fulcio.ts';
import type { IdentityToken } from './identity-token.ts';

/** A key, and the certificate that says whose it is if it is not a kept one. */
export interface Credential {
  readonly key: PrivateKey;
  readonly certificate: Certificate | undefined;
}

/** Whoever signs. The key never changes; the certificate that `credential` gives is good for the next signature. */
export interface Signer {
  readonly key: PrivateKey;
  readonly credential: () => Promise<Credential>;
}

interface HeldCertificate {
  readonly certificate: Certificate;
  /** Milliseconds since 1970 by this computer's clock. */
  readonly renewAt: number;
}

/** A certificate that ends sooner than this is renewed before it is used, ms: the services' answers have to fit in. */
const RENEW_BEFORE_MS = 60_000;

/** Signs with a kept key: no identity, no certificate. */
export function keySigner(key: PrivateKey): Signer {
  return { key, credential: async () => ({ key, certificate: undefined }) };
}

/**
 * Signs as the identity of a token with a key made for this purpose. Log-in and certificate happen once, at the first
 * `credential`, and are shared by all signatures; a certificate about to end is renewed for the same key. `token` is
 * called for each certificate.
 */
export async function identitySigner(options: {
  http: Http;
  certificateAuthority: string | undefined;
  trustedRoot: TrustedRoot;
  token: () => Promise<IdentityToken>;
  keyKind?: KeyKind;
}): Promise<Signer> {
  const { http, certificateAuthority: url, trustedRoot, token, keyKind = 'p256' } = options;
  if (url === undefined) {
    throw new TrustError('NO_SERVICE_CONFIGURED', 'the signing config names no certificate authority', {
      hint: 'add one to caUrls of the signing config, or sign with --key',
    });
  }
  const key = keyKind === 'rsa' ? await generateRsaKey(3072) : generateKey(keyKind);

  const obtain = async (): Promise<HeldCertificate> => {
    const certificate = await fetchSigningCertificate(http, url, await token(), key, trustedRoot);
    // By its lifetime, not its end: this computer's clock may be off, and the services' clocks are what counts.
    const lifetime = certificate.notAfter.getTime() - certificate.notBefore.getTime();
    return { certificate, renewAt: http.clock().getTime() + lifetime - RENEW_BEFORE_MS };
  };

  // Both owned by `credential`. `pending` lets signatures made at the same time share one log-in.
  let held: HeldCertificate | undefined;
  let pending: Promise<HeldCertificate> | undefined;
  return {
    key,
    async credential() {
      if (held === undefined || http.clock().getTime() >= held.renewAt) {
        pending ??= obtain().finally(() => {
          pending = undefined;
        });
        held = await pending;
      }
      return { key, certificate: held.certificate };
    },
  };
}
