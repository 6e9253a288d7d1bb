import { parseTransparencyLogEntry, type TransparencyLogEntry } from '../bundle/bundle.ts';
import type { HashedRekordV002, SignatureVerifier } from '../bundle/entry-v2.ts';
import { parseDecimal, serializeBase64 } from '../bytes/bytes.ts';
import { Fields } from '../bytes/fields.ts';
import { keyDetailsFor } from '../crypto/algorithms.ts';
import { digest } from '../crypto/hash.ts';
import { defaultHash } from '../crypto/public-key.ts';
import { preAuthEncoding } from '../dsse/envelope.ts';
import { ServiceError } from '../errors.ts';
import {
  type Http,
  type HttpAnswer,
  type HttpRequest,
  joinUrl,
  parseJsonAnswer,
  readAnswer,
  request,
} from '../http/client.ts';
import { MAX_LOG_SIZE } from '../limits.ts';
import type { LogInstance } from '../trust/trusted-root.ts';
import { fetchExistingEntry } from './existing-entry.ts';
import { type Submission, verifierKey } from './submission.ts';

const SERVICE = 'the transparency log (Rekor v2)';
const PREFIX = '/api/v2';
/** The log answers only once the entry is in its tree; clients are told to wait for 20 s at least (CLIENTS.md). */
const TIMEOUT_MS = 60_000;

/** A signature as hashedrekord 0.0.2 has it. */
type LoggedSignature = Omit<HashedRekordV002, 'kind' | 'version'>;

/**
 * Logs a signature in a Rekor v2 log as hashedrekord 0.0.2 and returns the entry with its proof, not yet verified. An
 * envelope is logged by the digest of its pre-authentication encoding, so its size does not matter. An entry that exists
 * already is as good: our own log answers with it, the reference log with its index (409).
 */
export async function submitToRekorV2(
  http: Http,
  url: string,
  submission: Submission,
  logs: readonly LogInstance[],
): Promise<TransparencyLogEntry> {
  const record = recordOf(submission);
  const call: HttpRequest = {
    service: SERVICE,
    method: 'POST',
    url: joinUrl(url, `${PREFIX}/log/entries`),
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: requestOf(record),
    timeoutMs: TIMEOUT_MS,
    accept: [200, 201, 409],
  };
  const answer = await request(http, call);
  if (answer.status === 409)
    return fetchExistingEntry(http, joinUrl(url, PREFIX), existingIndex(call, answer), record, logs);
  const json = parseJsonAnswer(call, answer);
  return readAnswer(call, () => parseTransparencyLogEntry(new Fields(json, '', 'ENTRY_INVALID')));
}

function recordOf({ content, verifier }: Submission): LoggedSignature {
  const key = verifierKey(verifier);
  const by: SignatureVerifier = {
    verifier:
      verifier.kind === 'certificate'
        ? { x509Certificate: verifier.certificate.der }
        : { publicKey: verifier.key.spki },
    keyDetails: keyDetailsFor(key, 'digest'),
  };
  if (content.kind === 'message') {
    return { hash: content.hash, digest: content.digest, signature: content.signature, ...by };
  }
  const { payloadType, payload, signatures } = content.envelope;
  const [signature] = signatures;
  if (signature === undefined) throw new Error('internal: an envelope without a signature was submitted');
  const hash = defaultHash(key);
  return { hash, digest: digest(hash, preAuthEncoding(payloadType, payload)), signature: signature.sig, ...by };
}

/** HashedRekordRequestV002 of rekor/v2/hashedrekord.proto. */
function requestOf({ digest, signature, verifier, keyDetails }: LoggedSignature): string {
  return JSON.stringify({
    hashedRekordRequestV002: {
      digest: serializeBase64(digest),
      signature: {
        content: serializeBase64(signature),
        verifier: {
          ...('publicKey' in verifier
            ? { publicKey: { rawBytes: serializeBase64(verifier.publicKey) } }
            : { x509Certificate: { rawBytes: serializeBase64(verifier.x509Certificate) } }),
          keyDetails,
        },
      },
    },
  });
}

function existingIndex(call: HttpRequest, answer: HttpAnswer): bigint {
  const index = answer.headers.get('x-log-index');
  if (index === null) {
    throw new ServiceError(
      'SERVICE_ANSWER_INVALID',
      `${SERVICE} at ${call.url} holds the entry already but does not say where`,
      { status: 409, hint: 'sign again: a new signature makes a new entry' },
    );
  }
  return readAnswer(call, () => parseDecimal(index, MAX_LOG_SIZE - 1n));
}
