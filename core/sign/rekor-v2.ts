import { parseTransparencyLogEntry, type TransparencyLogEntry } from '../bundle/bundle.ts';
import { serializeBase64 } from '../bytes/bytes.ts';
import { Fields } from '../bytes/fields.ts';
import { keyDetailsFor } from '../crypto/algorithms.ts';
import { digest } from '../crypto/hash.ts';
import { defaultHash } from '../crypto/public-key.ts';
import { preAuthEncoding } from '../dsse/envelope.ts';
import { ServiceError } from '../errors.ts';
import { type Http, type HttpRequest, joinUrl, parseJsonAnswer, readAnswer, request } from './http.ts';
import { type LoggedContent, type Submission, verifierKey } from './submission.ts';

const SERVICE = 'the transparency log (Rekor v2)';
/** The log answers only once the entry is in its tree; clients are told to wait for 20 s at least (CLIENTS.md). */
const TIMEOUT_MS = 60_000;

/**
 * Logs a signature in a Rekor v2 log as hashedrekord 0.0.2 and returns the entry with its proof, not yet verified. An
 * envelope is logged by the digest of its pre-authentication encoding, so its size does not matter.
 */
export async function submitToRekorV2(http: Http, url: string, submission: Submission): Promise<TransparencyLogEntry> {
  const key = verifierKey(submission.verifier);
  const { digest: signedDigest, signature } = signedDigestOf(submission.content, defaultHash(key));
  const { verifier } = submission;
  const call: HttpRequest = {
    service: SERVICE,
    method: 'POST',
    url: joinUrl(url, '/api/v2/log/entries'),
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({
      hashedRekordRequestV002: {
        digest: serializeBase64(signedDigest),
        signature: {
          content: serializeBase64(signature),
          verifier: {
            ...(verifier.kind === 'certificate'
              ? { x509Certificate: { rawBytes: serializeBase64(verifier.certificate.der) } }
              : { publicKey: { rawBytes: serializeBase64(verifier.key.spki) } }),
            keyDetails: keyDetailsFor(key, 'digest'),
          },
        },
      },
    }),
    timeoutMs: TIMEOUT_MS,
    // 200 and 201 alike, whether the entry is new or was there already.
    accept: [200, 201, 409],
  };
  const answer = await request(http, call);
  if (answer.status === 409) {
    throw new ServiceError(
      'SERVICE_REFUSED',
      `${SERVICE} at ${call.url} holds this entry already and does not give it`,
      {
        status: 409,
        hint: 'sign again: a new signature makes a new entry',
      },
    );
  }
  const json = parseJsonAnswer(call, answer);
  return readAnswer(call, () => parseTransparencyLogEntry(new Fields(json, '', 'ENTRY_INVALID')));
}

function signedDigestOf(
  content: LoggedContent,
  hash: 'sha256' | 'sha384' | 'sha512',
): { digest: Uint8Array; signature: Uint8Array } {
  if (content.kind === 'message') return content;
  const { payloadType, payload, signatures } = content.envelope;
  const [signature] = signatures;
  if (signature === undefined) throw new Error('internal: an envelope without a signature was submitted');
  return { digest: digest(hash, preAuthEncoding(payloadType, payload)), signature: signature.sig };
}
