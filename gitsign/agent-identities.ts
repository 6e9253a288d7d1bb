import type { PrivateKey } from '../core/crypto/private-key.ts';
import { HallmarkError, IdentityError, StorageError } from '../core/errors.ts';
import { MAX_AGENT_IDENTITIES } from '../core/limits.ts';
import { fetchSigningCertificate } from '../core/sign/fulcio.ts';
import { type IdentityToken, parseIdentityToken } from '../core/sign/identity-token.ts';
import type { SigningContext } from '../core/sign/sign.ts';
import type { Signer } from '../core/sign/signer.ts';
import type { Certificate } from '../core/x509/certificate.ts';
import { oidcIssuer } from '../core/x509/fulcio.ts';
import { subjectAlternativeNames } from '../core/x509/names.ts';
import type { HeldIdentity, IdentitySource } from './agent-protocol.ts';

/** A stack of the user's, as the agent itself read it. */
export interface AgentStack {
  /** For people, and what parts its identities from another stack's. */
  readonly name: string;
  readonly certificateAuthority: string;
  /** OIDC issuer of its logins; undefined if it names none, so that only tokens from elsewhere serve. */
  readonly issuer: string | undefined;
  /** Client at the issuer, and the audience of every token. */
  readonly clientId: string;
  readonly context: SigningContext;
}

/** Asks one client for an identity token; undefined if it left without one. */
export type AskToken = () => Promise<string | undefined>;

/** The agent's keys and certificates: made here, used through `use`, given to nobody. */
export interface Identities {
  /**
   * Runs `sign` with the identity that `source` names in `stack`. One that is not held, or about to end, is obtained first
   * with one login, shared by all that ask meanwhile. AGENT_LOCKED, IDENTITY_TOKEN_*, LOGIN_FAILED, SERVICE_*.
   */
  use<T>(stack: AgentStack, source: IdentitySource, ask: AskToken, sign: (signer: Signer) => Promise<T>): Promise<T>;
  /** Drops every key; until `unlock` nothing is signed, a login under way included. */
  lock(): void;
  unlock(): void;
  readonly locked: boolean;
  /** Those that would be used if asked now. */
  list(): HeldIdentity[];
  /** Drops the keys whose certificates are used no more. To be called now and then, so that none outlives its use. */
  expire(): void;
}

export interface IdentitiesOptions {
  readonly clock: () => Date;
  /** Milliseconds that only grow, whatever happens to the clock. */
  readonly monotonic: () => number;
  readonly generateKey: () => PrivateKey;
}

/** A certificate that ends sooner is not used any more, ms: the answers of the services have to fit in. */
const RENEW_BEFORE_MS = 60_000;

interface Held {
  readonly key: PrivateKey;
  readonly certificate: Certificate;
  readonly obtained: { readonly wall: number; readonly monotonic: number };
  signatures: number;
}

interface Slot {
  readonly stack: AgentStack;
  held: Held | undefined;
  pending: Promise<Held> | undefined;
  readonly waiting: Set<AskToken>;
}

export function createIdentities({ clock, monotonic, generateKey }: IdentitiesOptions): Identities {
  // Owned by this function: every slot, by what it may be used for, the last used at the end.
  const slots = new Map<string, Slot>();
  let locked = false;
  // Counts locks, so that a login which began before one brings no key after it.
  let generation = 0;

  // By the certificate's lifetime, not its end: this computer's clock may be off. A clock that was set back does not
  // lengthen it, as the other one goes on; a computer that slept does not either, as the clock was set forward.
  const usable = ({ certificate, obtained }: Held): boolean => {
    const age = Math.max(clock().getTime() - obtained.wall, monotonic() - obtained.monotonic);
    return age < lifetime(certificate) - RENEW_BEFORE_MS;
  };

  function expire(): void {
    for (const [id, slot] of slots) {
      if (slot.held !== undefined && !usable(slot.held)) slot.held = undefined;
      if (slot.held === undefined && slot.pending === undefined) slots.delete(id);
    }
  }

  function slotOf(stack: AgentStack, source: IdentitySource): Slot {
    expire();
    const id = slotId(stack, source);
    const slot = slots.get(id) ?? { stack, held: undefined, pending: undefined, waiting: new Set() };
    slots.delete(id);
    // The one that was not used for the longest time makes room.
    for (const [other, { pending }] of slots) {
      if (slots.size >= MAX_AGENT_IDENTITIES && pending === undefined) slots.delete(other);
    }
    if (slots.size >= MAX_AGENT_IDENTITIES) {
      throw new StorageError('AGENT_REFUSED', `${MAX_AGENT_IDENTITIES} logins are under way at this agent`, {
        hint: 'finish one of them first',
      });
    }
    slots.set(id, slot);
    return slot;
  }

  // Asks those who wait, one after the other, until one brings a token; has a fresh key certified.
  async function obtain(slot: Slot, stack: AgentStack, source: IdentitySource): Promise<Held> {
    const began = generation;
    const { http, trustedRoot } = stack.context;
    const token = await firstToken(slot.waiting, stack, source);
    const key = generateKey();
    const certificate = await fetchSigningCertificate(http, stack.certificateAuthority, token, key, trustedRoot);
    if (generation !== began) throw lockedError();
    const obtained = { wall: clock().getTime(), monotonic: monotonic() };
    const held = { key, certificate, obtained, signatures: 0 };
    slot.held = held;
    return held;
  }

  async function credentialOf(stack: AgentStack, source: IdentitySource, ask: AskToken): Promise<Held> {
    if (locked) throw lockedError();
    const slot = slotOf(stack, source);
    if (slot.held !== undefined) return slot.held;
    slot.waiting.add(ask);
    try {
      slot.pending ??= obtain(slot, stack, source).finally(() => {
        slot.pending = undefined;
      });
      return await slot.pending;
    } finally {
      slot.waiting.delete(ask);
    }
  }

  return {
    async use(stack, source, ask, sign) {
      for (let attempt = 1; ; attempt++) {
        const held = await credentialOf(stack, source, ask);
        const { key, certificate } = held;
        try {
          const signed = await sign({ key, credential: async () => ({ key, certificate }) });
          held.signatures++;
          return signed;
        } catch (error) {
          if (!isOutlived(error)) throw error;
          // The services' clocks say that the certificate has ended, whatever the one here says.
          for (const slot of slots.values()) if (slot.held === held) slot.held = undefined;
          if (attempt === 2) throw error;
        }
      }
    },
    lock() {
      locked = true;
      generation++;
      for (const slot of slots.values()) slot.held = undefined;
    },
    unlock() {
      locked = false;
    },
    get locked() {
      return locked;
    },
    expire,
    list() {
      return [...slots.values()].flatMap(({ stack, held }) =>
        held !== undefined && usable(held) ? [describe(stack, held)] : [],
      );
    },
  };
}

const lifetime = ({ notBefore, notAfter }: Certificate): number => notAfter.getTime() - notBefore.getTime();

// One key for each stack, authority, issuer and client. A token that the client brings is for its holder alone.
function slotId({ name, certificateAuthority, issuer, clientId }: AgentStack, source: IdentitySource): string {
  const who =
    source.kind === 'login'
      ? [issuer ?? '']
      : source.kind === 'token'
        ? [source.issuer, source.tokenSubject]
        : [source.name];
  return JSON.stringify([name, certificateAuthority, clientId, source.kind, ...who]);
}

async function firstToken(
  waiting: ReadonlySet<AskToken>,
  stack: AgentStack,
  source: IdentitySource,
): Promise<IdentityToken> {
  // A set goes on to those who come while one is asked.
  for (const ask of waiting) {
    const jwt = await ask();
    if (jwt !== undefined) return acceptToken(jwt, stack, source);
  }
  throw new IdentityError('LOGIN_FAILED', 'whoever was to log in left before it was done', {
    hint: 'run the command again',
  });
}

// The authority decides whether it believes the token. Here it is held to what was asked for: no other identity may slip in.
// One that has expired is not sent (fetchSigningCertificate).
function acceptToken(jwt: string, stack: AgentStack, source: IdentitySource): IdentityToken {
  const token = parseIdentityToken(jwt);
  const refuse = (problem: string): IdentityError =>
    new IdentityError('IDENTITY_TOKEN_INVALID', `the agent was brought another identity token: ${problem}`, {
      hint: 'run the command again',
    });
  const issuer = source.kind === 'login' ? stack.issuer : source.kind === 'token' ? source.issuer : token.issuer;
  if (token.issuer !== issuer) throw refuse(`from ${token.issuer}, not from ${issuer ?? 'any issuer'}`);
  if (source.kind === 'token' && token.tokenSubject !== source.tokenSubject) throw refuse('of another subject');
  if (!token.audiences.includes(stack.clientId)) throw refuse(`not for the client ${stack.clientId}`);
  return token;
}

const OUTLIVED: readonly string[] = ['CERTIFICATE_EXPIRED', 'TIMESTAMP_OUTSIDE_VALIDITY'];
const isOutlived = (error: unknown): boolean => error instanceof HallmarkError && OUTLIVED.includes(error.code);

const lockedError = (): IdentityError =>
  new IdentityError('AGENT_LOCKED', 'the agent is locked', { hint: 'hallmark agent unlock' });

function describe(stack: AgentStack, { certificate, signatures }: Held): HeldIdentity {
  return {
    stack: stack.name,
    certificateAuthority: stack.certificateAuthority,
    identity: subjectAlternativeNames(certificate)[0]?.value ?? '',
    issuer: oidcIssuer(certificate) ?? '',
    notAfter: certificate.notAfter,
    signatures,
  };
}
