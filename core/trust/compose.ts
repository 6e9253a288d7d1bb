import { keyDetailsFor } from '../crypto/algorithms.ts';
import { keyFingerprint, type PublicKey } from '../crypto/public-key.ts';
import { InputError } from '../errors.ts';
import { logKeyHash } from '../merkle/note.ts';
import { isSignedWith } from '../x509/algorithms.ts';
import type { Certificate } from '../x509/certificate.ts';
import { commonName, organization } from '../x509/names.ts';
import type { Validity } from '../x509/validity.ts';
import type { CertificateAuthority, LogInstance } from './trusted-root.ts';

/** An authority as a trusted root lists it, named by its root certificate. `chain`: leaf or issuer first, root last. */
export function composeAuthority(chain: readonly Certificate[], uri: string, validFor: Validity): CertificateAuthority {
  const root = chain.at(-1);
  if (root === undefined) throw new Error('internal: an authority without certificates');
  const name = commonName(root.subjectName);
  const owner = organization(root.subjectName);
  return {
    subject: {
      ...(owner === undefined ? {} : { organization: owner }),
      ...(name === undefined ? {} : { commonName: name }),
    },
    uri,
    chain,
    validFor,
  };
}

/** A log as a trusted root lists it. */
export function composeLog(baseUrl: string, publicKey: PublicKey, logId: Uint8Array, validFor: Validity): LogInstance {
  return { baseUrl, publicKey, keyDetails: keyDetailsFor(publicKey, 'message'), logId, validFor };
}

/** The ID of a log: for Rekor v1 and CT logs by the key alone, for Rekor v2 also by the origin of its checkpoints. */
export function logIdOf(publicKey: PublicKey, rekorV2Origin: string | undefined): Uint8Array {
  return rekorV2Origin === undefined ? keyFingerprint(publicKey) : logKeyHash(rekorV2Origin, publicKey);
}

/** Requires that each certificate is signed by the next. CERTIFICATE_INVALID, for instance if they are in another order. */
export function requireChainInOrder(chain: readonly Certificate[]): void {
  for (const [i, child] of chain.slice(0, -1).entries()) {
    const issuer = chain[i + 1] as Certificate;
    if (issuer.isCa && isSignedWith(issuer.publicKey, child.signatureAlgorithm, child.tbs, child.signature)) continue;
    throw new InputError('CERTIFICATE_INVALID', `certificate ${i + 1} of the chain was not issued by the next one`, {
      hint: 'the order is: the certificate that issues (or stamps) first, the root last',
    });
  }
}
