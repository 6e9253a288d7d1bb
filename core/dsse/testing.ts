import { serializeUtf8 } from '../bytes/bytes.ts';
import type { Statement } from './statement.ts';

// Test only: what signs takes a statement as the bytes that it is.

/** The statement as compact JSON, members in the specification's order; a predicate of null is left out. */
export function serializeStatement({ type, subjects, predicateType, predicate }: Statement): Uint8Array {
  return serializeUtf8(
    JSON.stringify({
      _type: type,
      subject: subjects,
      predicateType,
      ...(predicate === null ? {} : { predicate }),
    }),
  );
}
