import { sha256 } from '../crypto/hash.ts';
import { ServiceError } from '../errors.ts';
import { type Http, type HttpRequest, readAnswer, request } from '../http/client.ts';
import { serializeTimestampRequest } from '../timestamp/request.ts';
import { parseTimestampResponse } from '../timestamp/response.ts';
import { type TimestampAuthority, verifySignedTimestamp } from '../timestamp/verify.ts';

const SERVICE = 'the timestamp authority';
const TIMEOUT_MS = 30_000;
const NONCE_BYTES = 8;

/**
 * Has a timestamp authority say when `signature` existed (RFC 3161 over HTTP, §3.4), by its SHA-256. Returns the DER of
 * the TimeStampResp, verified: it echoes our nonce and is signed by one of `authorities`. Verifiers of bundles take the
 * authority's certificates from the trusted root; for others they are requested. SERVICE_*, TIMESTAMP_*.
 */
export async function fetchTimestamp(
  http: Http,
  url: string,
  signature: Uint8Array,
  authorities: readonly TimestampAuthority[],
  certificateRequested = false,
): Promise<Uint8Array> {
  const nonce = randomNonce(http);
  const call: HttpRequest = {
    service: SERVICE,
    method: 'POST',
    url,
    headers: { 'content-type': 'application/timestamp-query', accept: 'application/timestamp-reply' },
    body: serializeTimestampRequest({
      imprint: { hash: 'sha256', digest: sha256(signature) },
      nonce,
      certificateRequested,
    }),
    timeoutMs: TIMEOUT_MS,
    accept: [200, 201],
  };
  const { body } = await request(http, call);
  const timestamp = readAnswer(call, () => parseTimestampResponse(body));
  // §2.4.2: a nonce in the request comes back unchanged, or the answer may be an old one that somebody kept.
  if (timestamp.info.nonce !== nonce) {
    throw new ServiceError('SERVICE_ANSWER_INVALID', `${SERVICE} at ${url} answered another request: wrong nonce`, {
      hint: 'something between here and the timestamp authority may be replaying answers',
    });
  }
  verifySignedTimestamp(timestamp, signature, authorities);
  return body;
}

// Positive, and never with a leading zero byte: some servers read it as a signed 64-bit number.
function randomNonce(http: Http): bigint {
  const bytes = http.random(NONCE_BYTES);
  return (new DataView(bytes.slice().buffer).getBigUint64(0) >> 1n) | (1n << 62n);
}
