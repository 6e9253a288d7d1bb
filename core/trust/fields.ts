import type { Fields } from '../bytes/fields.ts';
import type { Json } from '../bytes/json.ts';
import type { Validity } from '../x509/validity.ts';

/** The `validFor` member (TimeRange of sigstore_common.proto); a missing end is open. */
export function parseValidity(fields: Fields): Validity {
  const range = fields.optionalObject('validFor');
  return { start: range?.optionalTime('start'), end: range?.optionalTime('end') };
}

/** `{start, end}` as protojson; clients fail within the second of a fractional start, so there is none. */
export function validityJson(validity: Validity): Record<string, Json> {
  if (validity.start !== undefined && validity.start.getTime() % 1000 !== 0)
    throw new Error('internal: validFor.start with a fraction of a second');
  return {
    ...(validity.start && { start: serializeTime(validity.start) }),
    ...(validity.end && { end: serializeTime(validity.end) }),
  };
}

/** RFC 3339 in UTC, without a fraction where there is none. */
export function serializeTime(time: Date): string {
  return time.toISOString().replace('.000Z', 'Z');
}

/** A published base URL: clients append "/path", so one that ends in a slash would be wrong. */
export function requirePublishedUrl(url: string): string {
  if (url.endsWith('/')) throw new Error(`internal: published URL ends in a slash: ${url}`);
  return url;
}
