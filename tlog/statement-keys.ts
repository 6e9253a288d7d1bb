import type { Envelope } from '../core/dsse/envelope.ts';
import { parseStatement } from '../core/dsse/statement.ts';
import { HallmarkError } from '../core/errors.ts';
import { digestSearchKey } from './search-keys.ts';

const IN_TOTO_PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/** The keys of what an in-toto statement is about; none if the payload is something else. */
export function statementSearchKeys(envelope: Envelope): Uint8Array[] {
  if (envelope.payloadType !== IN_TOTO_PAYLOAD_TYPE) return [];
  try {
    const { subjects } = parseStatement(envelope.payload);
    return subjects.flatMap(({ digest }) =>
      digest['sha256'] === undefined ? [] : [digestSearchKey('sha256', digest['sha256'])],
    );
  } catch (error) {
    // The log records signatures over any payload; what cannot be read cannot be searched.
    if (error instanceof HallmarkError) return [];
    throw error;
  }
}
