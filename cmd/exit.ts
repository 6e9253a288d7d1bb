import type { Json } from '../core/bytes/json.ts';
import { type ErrorCode, type ErrorKind, HallmarkError, InputError, VerificationError } from '../core/errors.ts';

/** Exit code for a verification that failed. */
export const EXIT_REJECTED = 12;

/** Exit codes, documented in docs/errors.md. 10 and 12 are cosign's where the meaning is the same. */
const EXIT_BY_KIND: Record<ErrorKind, number> = {
  usage: 2,
  input: 3,
  identity: 4,
  service: 5,
  storage: 6,
  trust: 7,
  verification: EXIT_REJECTED,
};

const EXIT_BY_CODE: Partial<Record<ErrorCode, number>> = { NO_SIGNATURE: 10 };

/** Exit code of an unexpected failure: a bug, never a verdict. */
export const EXIT_INTERNAL = 1;

export function exitCodeOf(error: HallmarkError): number {
  return EXIT_BY_CODE[error.code] ?? EXIT_BY_KIND[error.kind];
}

/** Everything was said already; what is left is the exit code. */
export class AlreadyReported extends Error {
  readonly exitCode: number;
  constructor(exitCode: number) {
    super('already reported');
    this.exitCode = exitCode;
  }
}

/** The first failure among several things, with what is to stand beside it in the result for machines. */
export class PartialFailure extends HallmarkError {
  readonly result: Record<string, Json>;
  constructor(first: HallmarkError, result: Record<string, Json>) {
    super(first.code, first.message, { cause: first, ...(first.hint !== undefined && { hint: first.hint }) });
    this.result = result;
  }
}

/** An error for machines: the member `error` of a result with `ok: false`. What is not known is left out. */
export function errorJson(error: HallmarkError): Record<string, Json> {
  const { code, message, hint } = error;
  const isRejection = error instanceof VerificationError || (error instanceof InputError && error.step !== undefined);
  const { step, evidence } = isRejection ? error : {};
  return {
    code,
    message,
    ...(hint !== undefined && { hint }),
    ...(step !== undefined && { step }),
    ...(evidence !== undefined && { evidence }),
  };
}
