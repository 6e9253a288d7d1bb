import type { Json } from '../core/bytes/json.ts';

/**
 * Why the CA turns a request down: gRPC code, HTTP status and the sentence, as clients of Fulcio know them. All faults of
 * the client are 400, also a bad token. `detail` says whether the cause is told to the client: never for faults of our own.
 */
const REFUSALS = {
  request: { code: 3, status: 400, message: 'The request could not be parsed', detail: true },
  requestTooLarge: { code: 3, status: 413, message: 'The request is too large', detail: true },
  identityToken: { code: 3, status: 400, message: 'There was an error processing the identity token', detail: true },
  publicKey: {
    code: 3,
    status: 400,
    message: 'The public key supplied in the request could not be parsed',
    detail: true,
  },
  weakPublicKey: {
    code: 3,
    status: 400,
    message: 'The public key supplied in the request is insecure',
    detail: true,
  },
  certificateRequest: {
    code: 3,
    status: 400,
    message: 'The certificate signing request could not be parsed',
    detail: true,
  },
  proofOfPossession: {
    code: 3,
    status: 400,
    message: 'The signature supplied in the request could not be verified',
    detail: true,
  },
  issuerUnreachable: {
    code: 14,
    status: 503,
    message: 'The issuer of the identity token could not be asked for its keys',
    detail: false,
  },
  rate: { code: 8, status: 429, message: 'Too many certificates for this identity', detail: false },
  overloaded: { code: 14, status: 503, message: 'Too many certificates at the moment', detail: false },
  ctLog: { code: 13, status: 500, message: 'Error entering certificate in CTL', detail: false },
  internal: { code: 13, status: 500, message: 'error communicating with CA backend', detail: false },
} as const;

type RefusalReason = keyof typeof REFUSALS;

/** A request turned down. `message` is what the client reads; `cause` is for the log. */
export class Refusal extends Error {
  readonly reason: RefusalReason;
  /** Milliseconds after which it may be tried again, where waiting helps. */
  readonly waitMs: number | undefined;
  constructor(reason: RefusalReason, cause?: unknown, waitMs?: number) {
    const { message, detail } = REFUSALS[reason];
    super(detail && cause instanceof Error ? `${message}: ${cause.message}` : message, { cause });
    this.name = 'Refusal';
    this.reason = reason;
    this.waitMs = waitMs;
  }
  get status(): number {
    return REFUSALS[this.reason].status;
  }
  /** The body of a gRPC gateway's error answer (google.rpc.Status). */
  get body(): Json {
    return { code: REFUSALS[this.reason].code, message: this.message, details: [] };
  }
}

/** Runs one step of issuance: what it throws becomes this refusal. */
export function orRefuse<T>(reason: RefusalReason, step: () => T): T {
  try {
    return step();
  } catch (cause) {
    throw cause instanceof Refusal ? cause : new Refusal(reason, cause);
  }
}
