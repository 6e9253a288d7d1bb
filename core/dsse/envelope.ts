import { concat, serializeBase64, serializeUtf8 } from '../bytes/bytes.ts';
import { Fields } from '../bytes/fields.ts';
import { type Json, parseJson } from '../bytes/json.ts';
import { MAX_LOGGED_SIGNATURES } from '../limits.ts';

/** One signature over the envelope's PAE. `keyid` is a hint that nobody signed, empty if there is none. */
interface EnvelopeSignature {
  readonly sig: Uint8Array;
  readonly keyid: string;
}

/** A DSSE envelope with its payload decoded. */
export interface Envelope {
  readonly payloadType: string;
  readonly payload: Uint8Array;
  readonly signatures: readonly EnvelopeSignature[];
}

/** The bytes that are signed: `DSSEv1 LEN(type) type LEN(payload) payload`, lengths in bytes (DSSE v1 protocol.md). */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = serializeUtf8(payloadType);
  const head = serializeUtf8(`DSSEv1 ${type.length} `);
  return concat(head, type, serializeUtf8(` ${payload.length} `), payload);
}

/**
 * Parses an envelope with one signature at least, from its JSON or from a member of a larger document, whose error code it
 * then takes; else ENVELOPE_INVALID. Unknown fields are refused, or ignored as DSSE's own readers do.
 */
export function parseEnvelope(
  input: Uint8Array | string | Fields,
  unknownFields: 'refused' | 'ignored' = 'refused',
): Envelope {
  const fields = input instanceof Fields ? input : new Fields(parseJson(input), '', 'ENVELOPE_INVALID');
  const payloadType = fields.string('payloadType');
  if (payloadType === '') throw fields.fail('payloadType', 'empty');
  if (!payloadType.isWellFormed()) throw fields.fail('payloadType', 'not Unicode text');
  const payload = fields.bytes('payload');
  const signatures = fields.objects('signatures', MAX_LOGGED_SIGNATURES).map((signature) => {
    const sig = signature.bytes('sig');
    if (sig.length === 0) throw signature.fail('sig', 'empty');
    const keyid = signature.optionalString('keyid') ?? '';
    if (unknownFields === 'refused') signature.end();
    return { sig, keyid };
  });
  if (signatures.length === 0) throw fields.fail('signatures', 'missing');
  if (unknownFields === 'refused') fields.end();
  return { payloadType, payload, signatures };
}

/** The envelope as JSON value, members in the order of envelope.proto; an empty keyid is left out. */
export function envelopeJson({ payload, payloadType, signatures }: Envelope): Json {
  return {
    payload: serializeBase64(payload),
    payloadType,
    signatures: signatures.map(({ sig, keyid }) => ({
      sig: serializeBase64(sig),
      ...(keyid === '' ? {} : { keyid }),
    })),
  };
}

/** The envelope as compact JSON, the inverse of `parseEnvelope`. */
export const serializeEnvelope = (envelope: Envelope): string => JSON.stringify(envelopeJson(envelope));
