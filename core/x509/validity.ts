/** A span of time during which a key or a service is trusted; a missing end is open. */
export interface Validity {
  readonly start: Date | undefined;
  readonly end: Date | undefined;
}

/** True if `at` lies in the span, both ends included (TimeRange of sigstore_common.proto). */
export function isValidAt(validity: Validity, at: Date): boolean {
  const instant = at.getTime();
  if (Number.isNaN(instant)) throw new Error('internal: invalid date');
  if (validity.start !== undefined && instant < validity.start.getTime()) return false;
  return validity.end === undefined || instant <= validity.end.getTime();
}
