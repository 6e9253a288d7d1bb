import type { TransparencyLogEntry } from '../bundle/bundle.ts';
import { equal, serializeHex } from '../bytes/bytes.ts';
import { VerificationError } from '../errors.ts';
import type { LogInstance } from '../trust/trusted-root.ts';
import { isValidAt } from '../x509/validity.ts';

/**
 * The trusted log with the entry's log ID whose key was in use at all these instants (client specification §4.5).
 * LOG_UNKNOWN, KEY_EXPIRED.
 */
export function requireKnownLog(
  entry: TransparencyLogEntry,
  logs: readonly LogInstance[],
  instants: readonly Date[],
  evidence: string,
): LogInstance {
  const sameId = logs.filter((log) => equal(log.logId, entry.logId));
  if (sameId.length === 0) {
    throw new VerificationError('LOG_UNKNOWN', 'log', `log ${serializeHex(entry.logId)} is not in the trusted root`, {
      evidence: `${evidence}.logId`,
      hint: 'use the trust of the instance that it was signed with (hallmark trust list); a log with a new key: hallmark trust update',
    });
  }
  const inUse = sameId.find((log) => instants.every((at) => isValidAt(log.validFor, at)));
  if (inUse === undefined) {
    const when = instants.map((at) => at.toISOString()).join(', ');
    throw new VerificationError(
      'KEY_EXPIRED',
      'log',
      `the key of log ${sameId[0]?.baseUrl} was not in use at ${when}`,
      {
        evidence: `${evidence}.logId`,
      },
    );
  }
  return inUse;
}
