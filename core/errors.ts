/**
 * Every error that a caller or a user can act on, in one table. The kind says what can be done about it and has one
 * class; the code is stable and part of the interface (`--output json`, docs/errors.md, exit codes in cmd/exit.ts).
 * A broken invariant is none of these: it is a plain `Error("internal: ...")`.
 */
export const ERRORS = {
  // input: what was given cannot be used; give something else.
  INPUT_MISSING: 'input',
  INPUT_UNREADABLE: 'input',
  INPUT_TOO_LARGE: 'input',
  ENCODING_INVALID: 'input',
  JSON_INVALID: 'input',
  JSON_DUPLICATE_KEY: 'input',
  JSON_TOO_DEEP: 'input',
  FIELD_INVALID: 'input',
  DER_INVALID: 'input',
  PEM_INVALID: 'input',
  KEY_INVALID: 'input',
  KEY_UNSUPPORTED: 'input',
  KEY_PASSWORD_REQUIRED: 'input',
  KEY_PASSWORD_WRONG: 'input',
  CERTIFICATE_INVALID: 'input',
  CMS_INVALID: 'input',
  GIT_OBJECT_INVALID: 'input',
  TIMESTAMP_INVALID: 'input',
  TIMESTAMP_REQUEST_INVALID: 'input',
  NOTE_INVALID: 'input',
  CHECKPOINT_INVALID: 'input',
  PROOF_INVALID: 'input',
  ENVELOPE_INVALID: 'input',
  STATEMENT_INVALID: 'input',
  ENTRY_INVALID: 'input',
  BUNDLE_INVALID: 'input',
  BUNDLE_VERSION_UNSUPPORTED: 'input',
  TRUSTED_ROOT_INVALID: 'input',
  TRUST_EXPORT_INVALID: 'input',
  SIGNING_CONFIG_INVALID: 'input',
  REGISTRY_KEYS_INVALID: 'input',
  TUF_METADATA_INVALID: 'input',
  POLICY_INVALID: 'input',
  PINS_INVALID: 'input',
  CONFIG_INVALID: 'input',
  PREDICATE_INVALID: 'input',
  AGENT_MESSAGE_INVALID: 'input',

  // verification: the thing was examined and must not be trusted.
  NO_SIGNATURE: 'verification',
  TIME_MISSING: 'verification',
  TIMESTAMP_UNTRUSTED: 'verification',
  TIMESTAMP_MISMATCH: 'verification',
  TIMESTAMP_SIGNATURE_INVALID: 'verification',
  TIMESTAMP_OUTSIDE_VALIDITY: 'verification',
  TIMESTAMP_DUPLICATE: 'verification',
  CERTIFICATE_UNTRUSTED: 'verification',
  CERTIFICATE_EXPIRED: 'verification',
  CERTIFICATE_USAGE: 'verification',
  KEY_MISMATCH: 'verification',
  KEY_EXPIRED: 'verification',
  SCT_MISSING: 'verification',
  SCT_INVALID: 'verification',
  LOG_ENTRY_MISSING: 'verification',
  LOG_UNKNOWN: 'verification',
  LOG_ENTRY_DUPLICATE: 'verification',
  LOG_ENTRY_MISMATCH: 'verification',
  LOG_DIALECT_MISMATCH: 'verification',
  INCLUSION_PROOF_MISSING: 'verification',
  INCLUSION_PROOF_WRONG: 'verification',
  CONSISTENCY_PROOF_WRONG: 'verification',
  CHECKPOINT_SIGNATURE_INVALID: 'verification',
  COSIGNATURES_MISSING: 'verification',
  SET_INVALID: 'verification',
  SIGNATURE_INVALID: 'verification',
  DIGEST_MISMATCH: 'verification',
  SUBJECT_MISMATCH: 'verification',
  PAYLOAD_TYPE_UNEXPECTED: 'verification',
  PREDICATE_TYPE_UNEXPECTED: 'verification',
  IDENTITY_MISMATCH: 'verification',
  ISSUER_MISMATCH: 'verification',
  CLAIM_MISMATCH: 'verification',
  POLICY_MISMATCH: 'verification',
  PREDICATE_MISMATCH: 'verification',
  PIN_MISSING: 'verification',
  SIGNER_CHANGED: 'verification',
  PROVENANCE_LOST: 'verification',

  // identity: nobody is logged in, or the token is not accepted; log in again.
  IDENTITY_TOKEN_MISSING: 'identity',
  IDENTITY_TOKEN_INVALID: 'identity',
  IDENTITY_TOKEN_EXPIRED: 'identity',
  LOGIN_FAILED: 'identity',
  AGENT_LOCKED: 'identity',

  // service: another computer did not do its part; try again or choose another.
  SERVICE_UNREACHABLE: 'service',
  SERVICE_REFUSED: 'service',
  SERVICE_ANSWER_INVALID: 'service',

  // trust: the trust material that the task needs is missing, too old or was not authentic.
  TRUST_UNKNOWN: 'trust',
  TRUST_FINGERPRINT_MISMATCH: 'trust',
  TRUST_TOO_OLD: 'trust',
  TRUST_AMBIGUOUS: 'trust',
  TUF_SIGNATURE_INVALID: 'trust',
  TUF_EXPIRED: 'trust',
  TUF_ROLLBACK: 'trust',
  TUF_TARGET_INVALID: 'trust',
  NO_SERVICE_CONFIGURED: 'trust',
  AGENT_STACK_UNKNOWN: 'trust',

  // storage: this computer's disk, port or database is in the way.
  FILE_UNWRITABLE: 'storage',
  KEY_FILE_EXPOSED: 'storage',
  FILE_EXISTS: 'storage',
  LOCK_HELD: 'storage',
  PORT_IN_USE: 'storage',
  ADDRESS_UNAVAILABLE: 'storage',
  INSTANCE_MISMATCH: 'storage',
  INSTANCE_INCOMPLETE: 'storage',
  INSTANCE_DAMAGED: 'storage',
  DATABASE_CORRUPT: 'storage',
  LOG_FORKED: 'storage',
  LOG_HEAD_MOVED: 'storage',
  OVERLOADED: 'storage',
  AGENT_UNSAFE: 'storage',
  AGENT_REFUSED: 'storage',
  AGENT_UNREACHABLE: 'storage',
  AGENT_RUNNING: 'storage',

  // usage: the command line cannot be carried out as it is written.
  USAGE: 'usage',
} as const;

export type ErrorCode = keyof typeof ERRORS;
export type ErrorKind = (typeof ERRORS)[ErrorCode];
type CodeOf<K extends ErrorKind> = { [C in ErrorCode]: (typeof ERRORS)[C] extends K ? C : never }[ErrorCode];

/** What an error carries beside its sentence. `hint` is the remedy, a command where there is one. */
export interface ErrorDetails {
  hint?: string;
  cause?: unknown;
}

/** Base of all errors with a stable code. The message is one sentence without a final full stop. */
export abstract class HallmarkError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = details.hint;
  }
  get kind(): ErrorKind {
    return ERRORS[this.code];
  }
}

export type InputErrorCode = CodeOf<'input'>;
export type VerificationErrorCode = CodeOf<'verification'>;

/** Where a rejection comes from: the step that rejected, and a path into the bundle (`tlogEntries[0].inclusionProof`). */
interface Finding {
  step?: VerificationStep;
  evidence?: string;
}

/** What was given cannot be used. `step` only if it is part of what was verified. */
export class InputError extends HallmarkError {
  readonly step: VerificationStep | undefined;
  /** Without a step it is the path within what was parsed. */
  readonly evidence: string | undefined;
  constructor(code: InputErrorCode, message: string, details: ErrorDetails & Finding = {}) {
    super(code, message, details);
    this.step = details.step;
    this.evidence = details.evidence;
  }
}

/**
 * Runs the parser of something with a name ("bundle x.sigstore.json"): what it finds wrong says where, and keeps its code.
 * `hint` is the remedy where the parser knows none.
 */
export function parseNamed<T>(name: string, hint: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof InputError)) throw cause;
    throw new InputError(cause.code as InputErrorCode, `${name}: ${cause.message}`, {
      hint: cause.hint ?? hint,
      cause,
      ...findingOf(cause),
    });
  }
}

const findingOf = ({ step, evidence }: Finding | InputError): Finding => ({
  ...(step !== undefined && { step }),
  ...(evidence !== undefined && { evidence }),
});

/**
 * Runs a step of verification, or a part of one, on what lies at `evidence` in the bundle: its errors say so, unless they know
 * better. What is malformed is rejected by the step that had to read it.
 */
export function withEvidence<T>(evidence: string, step: VerificationStep, verify: () => T): T {
  try {
    return verify();
  } catch (cause) {
    const hint = cause instanceof HallmarkError && cause.hint !== undefined ? { hint: cause.hint } : {};
    if (cause instanceof InputError && cause.step === undefined)
      throw new InputError(cause.code as InputErrorCode, cause.message, { cause, ...hint, step, evidence });
    if (!(cause instanceof VerificationError) || cause.evidence !== undefined) throw cause;
    throw new VerificationError(cause.code as VerificationErrorCode, cause.step, cause.message, {
      cause,
      ...hint,
      evidence,
    });
  }
}

/** For an operator's log: what failed, and down to the last cause why. */
export function causes(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  const code = error instanceof HallmarkError ? ` [${error.code}]` : '';
  return `${String(error)}${code}${cause === undefined ? '' : `; because ${causes(cause)}`}`;
}

/** The step of verification that rejected, in the client specification's order. */
export type VerificationStep = 'parse' | 'time' | 'certificate' | 'log' | 'signature' | 'identity' | 'policy';

/** The thing was examined and must not be trusted. `evidence` is a path into the bundle (`tlogEntries[0].inclusionProof`). */
export class VerificationError extends HallmarkError {
  readonly step: VerificationStep;
  readonly evidence: string | undefined;
  constructor(
    code: VerificationErrorCode,
    step: VerificationStep,
    message: string,
    details: ErrorDetails & Pick<Finding, 'evidence'> = {},
  ) {
    super(code, message, details);
    this.step = step;
    this.evidence = details.evidence;
  }
}

/** Nobody is logged in, or the token is not accepted. */
export class IdentityError extends HallmarkError {
  constructor(code: CodeOf<'identity'>, message: string, details?: ErrorDetails) {
    super(code, message, details);
  }
}

/** Another computer did not do its part. `status` is its HTTP status, undefined if it was never reached. */
export class ServiceError extends HallmarkError {
  readonly status: number | undefined;
  constructor(code: CodeOf<'service'>, message: string, details: ErrorDetails & { status?: number } = {}) {
    super(code, message, details);
    this.status = details.status;
  }
}

/** Trust material is missing, too old or not authentic. */
export class TrustError extends HallmarkError {
  constructor(code: CodeOf<'trust'>, message: string, details?: ErrorDetails) {
    super(code, message, details);
  }
}

/** This computer's disk, port or database is in the way. */
export class StorageError extends HallmarkError {
  constructor(code: CodeOf<'storage'>, message: string, details?: ErrorDetails) {
    super(code, message, details);
  }
}

/** The command line cannot be carried out as it is written. */
export class UsageError extends HallmarkError {
  constructor(message: string, details?: ErrorDetails) {
    super('USAGE', message, details);
  }
}
