import { serializeBase64, serializeHex, serializeUtf8 } from '../bytes/bytes.ts';
import { InputError } from '../errors.ts';

/**
 * The bytes that a Rekor v1 log signs as inclusion promise (signed entry timestamp): RFC 8785 JSON of the entry's body, ID
 * of the log, index over all shards, and time in seconds. ENTRY_INVALID for a number that JSON cannot hold exactly.
 */
export function signedEntryTimestampPayload(entry: {
  readonly body: Uint8Array;
  readonly integratedTime: bigint;
  readonly logId: Uint8Array;
  readonly logIndex: bigint;
}): Uint8Array {
  const { body, integratedTime, logId, logIndex } = entry;
  const largest = BigInt(Number.MAX_SAFE_INTEGER);
  if (integratedTime > largest || logIndex > largest) {
    throw new InputError('ENTRY_INVALID', 'an inclusion promise with a number above 2^53 - 1');
  }
  // Nothing in base64, hexadecimal and decimal needs an escape.
  return serializeUtf8(
    `{"body":"${serializeBase64(body)}","integratedTime":${integratedTime},"logID":"${serializeHex(logId)}","logIndex":${logIndex}}`,
  );
}
