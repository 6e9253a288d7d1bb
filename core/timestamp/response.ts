import { contextTag, type DerReader, TAG } from '../asn1/der.ts';
import { parseUtf8 } from '../bytes/bytes.ts';
import { parseSignedData, type SignedData, type SignerInfo } from '../cms/signed-data.ts';
import { InputError } from '../errors.ts';
import { MAX_NONCE_BYTES, MAX_TIMESTAMP_BYTES, MAX_TIMESTAMP_SERIAL_BYTES } from '../limits.ts';
import { OID } from '../x509/oids.ts';
import { parseDer } from '../x509/parse-der.ts';
import { type MessageImprint, readMessageImprint } from './imprint.ts';
import { readSignedInteger } from './signed-integer.ts';

/** A signed timestamp (TimeStampToken of RFC 3161 §2.4.2), verified in no way. */
export interface SignedTimestamp {
  readonly info: TimestampInfo;
  /** DER of `info`: what the signer's digest is over. */
  readonly content: Uint8Array;
  readonly signer: SignerInfo;
  /** DER of the certificates that came with it: anybody's. */
  readonly certificates: readonly Uint8Array[];
}

/** What the authority says (TSTInfo of RFC 3161 §2.4.2). */
interface TimestampInfo {
  /** Object identifier. */
  readonly policy: string;
  readonly imprint: MessageImprint;
  readonly serialNumber: bigint;
  readonly time: Date;
  readonly nonce: bigint | undefined;
}

const RESPONSE = {
  code: 'TIMESTAMP_INVALID',
  what: 'a timestamp response',
  maxBytes: MAX_TIMESTAMP_BYTES,
} as const;
const TOKEN = { ...RESPONSE, what: 'a timestamp token' } as const;
const INFO = { ...RESPONSE, what: 'a timestamp' } as const;

const fail = (problem: string, cause?: unknown): InputError =>
  new InputError('TIMESTAMP_INVALID', `not a timestamp: ${problem}`, cause === undefined ? {} : { cause });

/** PKIStatus (RFC 3161 §2.4.2). */
const GRANTED = 0;

/** Reads a TimeStampResp that grants a timestamp (RFC 3161 §2.4.2). Errors: TIMESTAMP_INVALID. */
export function parseTimestampResponse(der: Uint8Array): SignedTimestamp {
  const token = parseDer(der, RESPONSE, (reader) => {
    const fields = reader.sequence();
    requireGranted(fields.sequence());
    const { encoding } = fields.element();
    fields.end();
    return encoding;
  });
  return parseTimestampToken(token);
}

/** Reads a bare TimeStampToken, as CMS attributes carry it (RFC 3161 appendix A). Errors: TIMESTAMP_INVALID. */
export function parseTimestampToken(der: Uint8Array): SignedTimestamp {
  if (der.length > TOKEN.maxBytes) throw fail(`larger than ${TOKEN.maxBytes} bytes`);
  const { contentType, content, certificates, signerInfos } = parseCms(der);
  if (contentType !== OID.timestampInfo) throw fail('content is not a TSTInfo');
  if (content === undefined) throw fail('content is detached');
  // §2.4.2: no signature but that of the authority.
  const [signer, ...others] = signerInfos;
  if (signer === undefined || others.length > 0) throw fail(`${signerInfos.length} signatures instead of one`);
  return { info: parseDer(content, INFO, readInfo), content, signer, certificates };
}

/** PKIStatusInfo. A refusal carries no timestamp, only the authority's reason. */
function requireGranted(fields: DerReader): void {
  const status = fields.smallInteger();
  const texts = fields.optionalConstructed(TAG.sequence);
  const reason = texts === undefined ? '' : `: ${JSON.stringify(parseUtf8(texts.read(TAG.utf8String)).slice(0, 200))}`;
  if (status !== GRANTED) throw fail(`the authority refused, status ${status}${reason}`);
  fields.end();
}

function parseCms(der: Uint8Array): SignedData {
  try {
    return parseSignedData(der);
  } catch (cause) {
    if (cause instanceof InputError && cause.code === 'CMS_INVALID') throw fail(cause.message, cause);
    throw cause;
  }
}

function readInfo(reader: DerReader): TimestampInfo {
  const fields = reader.sequence();
  if (fields.integer() !== 1n) throw fail('version is not 1');
  const policy = fields.oid();
  const imprint = readMessageImprint(fields, 'TIMESTAMP_INVALID');
  const serialNumber = readSignedInteger(fields, MAX_TIMESTAMP_SERIAL_BYTES);
  const time = readTime(fields);
  fields.optional(TAG.sequence); // Accuracy: the reference verifiers take the time as exact, and so must we to agree.
  fields.optionalTrue(); // Ordering: of use to who compares timestamps of one authority.
  const nonce = fields.tag === TAG.integer ? readSignedInteger(fields, MAX_NONCE_BYTES) : undefined;
  fields.optional(contextTag(0)); // The authority's name: a hint, the certificate says it.
  readInfoExtensions(fields.optionalConstructed(contextTag(1)));
  fields.end();
  return { policy, imprint, serialNumber, time, nonce };
}

function readTime(fields: DerReader): Date {
  if (fields.tag !== TAG.generalizedTime) throw fail('time is not a GeneralizedTime');
  return fields.time();
}

/** No extension of a TSTInfo is known, so a critical one changes what the timestamp means in a way that is not. */
function readInfoExtensions(list: DerReader | undefined): void {
  while (list !== undefined && !list.done) {
    const extension = list.sequence();
    const oid = extension.oid();
    if (extension.optionalTrue()) throw fail(`critical extension ${oid} is not supported`);
    extension.octetString();
    extension.end();
  }
}
