import type { TransparencyLogEntry } from '../core/bundle/bundle.ts';
import { parseEntryBody } from '../core/bundle/entry.ts';
import { equal, serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import type { Http } from '../core/http/client.ts';
import { findByDigestV1 } from '../core/log/rekor-v1.ts';
import { fetchLogEntry } from '../core/sign/rekor-v1.ts';
import { serializeCertificatePem } from '../core/x509/certificate.ts';
import { loggedObjectIds } from './object-id.ts';
import type { CmsSignature } from './signature.ts';

/** Entries of one ID and certificate that are looked at: only the signer can log another one. */
const MAX_LOOKED_AT = 20;

/**
 * Asks a Rekor v1 log for the entry of a signature in gitsign's online mode: one about any of the IDs that versions of gitsign
 * have given the object, with the certificate of the signature. Nothing of it is verified. Undefined if there is none.
 */
export async function lookUpEntry(
  http: Http,
  log: string,
  payload: Uint8Array,
  armor: Uint8Array,
  { certificate }: CmsSignature,
): Promise<TransparencyLogEntry | undefined> {
  const pem = serializeCertificatePem(certificate);
  for (const id of loggedObjectIds(payload, armor)) {
    const digest = sha256(serializeUtf8(id));
    const found = await findByDigestV1(http, log, `sha256:${serializeHex(digest)}`, pem);
    for (const entryId of found.slice(0, MAX_LOOKED_AT)) {
      const entry = await fetchLogEntry(http, log, entryId);
      const body = parseEntryBody(entry.canonicalizedBody);
      if (body.kind !== 'hashedrekord' || body.version !== '0.0.1' || !equal(body.digest, digest)) continue;
      if (body.publicKeyPem === pem) return entry;
    }
  }
  return undefined;
}
