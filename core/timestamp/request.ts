import { boolean, contextTag, integer, sequence, TAG } from '../asn1/der.ts';
import { InputError } from '../errors.ts';
import { MAX_NONCE_BYTES, MAX_TIMESTAMP_REQUEST_BYTES } from '../limits.ts';
import { serializeOid } from '../x509/oids.ts';
import { parseDer } from '../x509/parse-der.ts';
import { type MessageImprint, readMessageImprint, serializeMessageImprint } from './imprint.ts';
import { readSignedInteger, serializeSignedInteger } from './signed-integer.ts';

/** TimeStampReq (RFC 3161 §2.4.1), without extensions. */
export interface TimestampRequest {
  readonly imprint: MessageImprint;
  /** Object identifier of the policy that is asked for. */
  readonly policy?: string | undefined;
  readonly nonce?: bigint | undefined;
  /** Whether the answer shall carry the authority's certificate. */
  readonly certificateRequested: boolean;
}

const FORMAT = {
  code: 'TIMESTAMP_REQUEST_INVALID',
  what: 'a timestamp request',
  maxBytes: MAX_TIMESTAMP_REQUEST_BYTES,
} as const;

/** Reads a request in DER. Extensions are refused, as none is known. Errors: TIMESTAMP_REQUEST_INVALID. */
export function parseTimestampRequest(der: Uint8Array): TimestampRequest {
  return parseDer(der, FORMAT, (reader) => {
    const fields = reader.sequence();
    if (fields.integer() !== 1n) throw new InputError(FORMAT.code, 'version of the timestamp request is not 1');
    const imprint = readMessageImprint(fields, FORMAT.code);
    const policy = fields.tag === TAG.oid ? fields.oid() : undefined;
    const nonce = fields.tag === TAG.integer ? readSignedInteger(fields, MAX_NONCE_BYTES) : undefined;
    const certificateRequested = fields.optionalTrue();
    if (fields.tag === contextTag(0))
      throw new InputError(FORMAT.code, 'extensions of a timestamp request are not supported');
    fields.end();
    return { imprint, policy, nonce, certificateRequested };
  });
}

/** The request in DER. */
export function serializeTimestampRequest(request: TimestampRequest): Uint8Array {
  const optional: Uint8Array[] = [];
  if (request.policy !== undefined) optional.push(serializeOid(request.policy));
  if (request.nonce !== undefined) optional.push(serializeSignedInteger(request.nonce));
  if (request.certificateRequested) optional.push(boolean(true));
  return sequence(integer(1), serializeMessageImprint(request.imprint), ...optional);
}
