import type { ErrorCode, ErrorKind, HallmarkError } from '../core/errors.ts';

/** Exit codes, documented in docs/errors.md. 10 and 12 are cosign's where the meaning is the same. */
const EXIT_BY_KIND: Record<ErrorKind, number> = {
  usage: 2,
  input: 3,
  identity: 4,
  service: 5,
  storage: 6,
  trust: 7,
  verification: 12,
};

const EXIT_BY_CODE: Partial<Record<ErrorCode, number>> = { NO_SIGNATURE: 10 };

/** Exit code of an unexpected failure: a bug, never a verdict. */
export const EXIT_INTERNAL = 1;

export function exitCodeOf(error: HallmarkError): number {
  return EXIT_BY_CODE[error.code] ?? EXIT_BY_KIND[error.kind];
}
