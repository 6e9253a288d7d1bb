import { VerificationError, type VerificationErrorCode } from '../errors.ts';

/** Runs a check of another format and adds where in the bundle its subject is to the error. */
export function withEvidence<T>(evidence: string, verify: () => T): T {
  try {
    return verify();
  } catch (error) {
    if (!(error instanceof VerificationError) || error.evidence !== undefined) throw error;
    throw new VerificationError(error.code as VerificationErrorCode, error.step, error.message, {
      evidence,
      cause: error,
      ...(error.hint !== undefined && { hint: error.hint }),
    });
  }
}
