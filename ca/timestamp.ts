import { Fields } from '../core/bytes/fields.ts';
import { parseJson } from '../core/bytes/json.ts';
import { DIGEST_BYTES, type HashName } from '../core/crypto/hash.ts';
import type { PrivateKey } from '../core/crypto/private-key.ts';
import { HallmarkError, InputError } from '../core/errors.ts';
import { type Handle, jsonResponse, mediaType, readBody } from '../core/http/front-end.ts';
import { MAX_TIMESTAMP_REQUEST_BYTES } from '../core/limits.ts';
import type { Metrics } from '../core/metrics.ts';
import { serializeTimestampResponse } from '../core/timestamp/issue.ts';
import { parseTimestampRequest, type TimestampRequest } from '../core/timestamp/request.ts';
import { type Certificate, serializeCertificatePem } from '../core/x509/certificate.ts';
import { requireChainOf } from './chain.ts';
import { randomSerialNumber } from './profile.ts';

/** The policy that every timestamp is made under: Sigstore's. */
const POLICY = '1.3.6.1.4.1.57264.2';
/** What the clock is good for, s. */
const ACCURACY_SECONDS = 1;

/**
 * A timestamp authority (RFC 3161) with the HTTP interface of Sigstore's. `chain` goes from the certificate of `key` to the
 * root. A request that is refused is an HTTP error, never a TimeStampResp that says so. `report` is told of faults of this side.
 */
export function createTimestampAuthority(options: {
  key: PrivateKey;
  chain: readonly Certificate[];
  clock: () => Date;
  random: (bytes: number) => Uint8Array;
  metrics: Metrics;
  report?: (problem: unknown) => void;
}): { handle: Handle } {
  const leaf = requireChainOf(options.key, options.chain);
  const issued = options.metrics.counter('hallmark_timestamps_issued_total', 'Timestamps issued.');
  const chainPem = options.chain.map(serializeCertificatePem).join('');

  /** The TimeStampResp for a request that is granted. */
  function stamp(request: TimestampRequest): Uint8Array {
    const time = options.clock();
    if (time < leaf.notBefore || time >= leaf.notAfter)
      throw new Error('certificate of the timestamp authority is not valid now');
    return serializeTimestampResponse({
      request,
      serialNumber: randomSerialNumber(options.random),
      time,
      policy: POLICY,
      accuracySeconds: ACCURACY_SECONDS,
      chain: options.chain,
      key: options.key,
    });
  }

  async function answer(request: Request): Promise<Response> {
    const parse = PARSERS[mediaType(request)];
    if (!parse) return refuse(415, `expected ${Object.keys(PARSERS).join(' or ')}`);
    const body = await readBody(request, MAX_TIMESTAMP_REQUEST_BYTES);
    if (!body) return refuse(413, `more than ${MAX_TIMESTAMP_REQUEST_BYTES} bytes`);
    try {
      const response = stamp(requireKnownPolicy(parse(body)));
      issued.add(1);
      // 201 as the older servers: every client takes it, and 200.
      return new Response(response as Uint8Array<ArrayBuffer>, {
        status: 201,
        headers: { 'content-type': 'application/timestamp-reply' },
      });
    } catch (problem) {
      if (problem instanceof HallmarkError) return refuse(400, problem.message);
      options.report?.(problem);
      return refuse(500, 'error generating timestamp response');
    }
  }

  return {
    handle(request, url, peer) {
      switch (url.pathname) {
        case '/api/v1/timestamp':
          peer.matched?.(url.pathname);
          return request.method === 'POST' ? answer(request) : refuse(405, 'Method Not Allowed', { allow: 'POST' });
        case '/api/v1/timestamp/certchain':
          peer.matched?.(url.pathname);
          return request.method === 'GET'
            ? new Response(chainPem, { headers: { 'content-type': 'application/pem-certificate-chain' } })
            : refuse(405, 'Method Not Allowed', { allow: 'GET' });
        default:
          return undefined;
      }
    },
  };
}

/** Readers of a request by its media type. */
const PARSERS: { readonly [type: string]: (body: Uint8Array) => TimestampRequest } = {
  __proto__: null as never,
  'application/timestamp-query': parseTimestampRequest,
  'application/json': parseJsonRequest,
};

/** The JSON form of Sigstore's timestamp authority. Unknown fields are ignored, as there. Errors: TIMESTAMP_REQUEST_INVALID. */
function parseJsonRequest(body: Uint8Array): TimestampRequest {
  const fields = new Fields(parseJson(body), '', 'TIMESTAMP_REQUEST_INVALID');
  const named = fields.string('hashAlgorithm').toLowerCase();
  if (!Object.hasOwn(DIGEST_BYTES, named))
    throw fields.fail('hashAlgorithm', `expected one of ${Object.keys(DIGEST_BYTES).join(', ')}`);
  const hash = named as HashName;
  const digest = fields.bytes('artifactHash');
  if (digest.length !== DIGEST_BYTES[hash])
    throw fields.fail('artifactHash', `${digest.length} bytes, ${hash} has ${DIGEST_BYTES[hash]}`);
  // Larger nonces than JSON's numbers hold exactly would come back changed.
  const nonce = fields.optionalInteger('nonce', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  return {
    imprint: { hash, digest },
    policy: fields.optionalString('tsaPolicyOID') || undefined,
    nonce: nonce === undefined ? undefined : BigInt(nonce),
    certificateRequested: fields.optionalBoolean('certificates') ?? false,
  };
}

function requireKnownPolicy(request: TimestampRequest): TimestampRequest {
  if (request.policy !== undefined && request.policy !== POLICY)
    throw new InputError('TIMESTAMP_REQUEST_INVALID', `the only policy is ${POLICY}`);
  return request;
}

function refuse(status: number, message: string, headers: Record<string, string> = {}): Response {
  return jsonResponse(status, { code: status, message }, headers);
}
