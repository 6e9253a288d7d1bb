import { equal, serializeHex } from '../bytes/bytes.ts';
import { keyFingerprint, type PublicKey } from '../crypto/public-key.ts';
import type { Statement } from '../dsse/statement.ts';
import { VerificationError } from '../errors.ts';
import type { FulcioClaims } from '../x509/fulcio.ts';
import type { Artifact } from './artifact.ts';
import { type Identity, identitiesOf } from './identity.ts';
import type { Policy, Signer } from './signer.ts';

/**
 * An identity as it stays from one release to the next. A workflow's name is without the ref that it ran at; the repository
 * goes with the numbers that its host gave it and its owner, which nobody gets again by registering a name that became free.
 */
export interface PinnedIdentity {
  readonly kind: 'certificate';
  readonly issuer: string;
  readonly subjectAlternativeName: string;
  readonly sourceRepository?: string;
  readonly sourceRepositoryIdentifier?: string;
  readonly sourceRepositoryOwnerIdentifier?: string;
}

export type PinnedSigner = PinnedIdentity | { readonly kind: 'key'; readonly key: PublicKey };

/** Who signed an artifact last time, and whether it came with provenance. */
export interface Pin {
  readonly signer: PinnedSigner;
  readonly provenance: boolean;
}

/** By the artifact's name. */
export type Pins = ReadonlyMap<string, Pin>;

/** The signer has to be the one of last time. `name` stands in for the artifact's; `also` is required on top. */
export interface PinPolicy {
  readonly pins: Pins;
  readonly name?: string;
  readonly also?: Exclude<Policy, PinPolicy>;
}

/** True for a statement of SLSA provenance of any version. */
export const isProvenance = (statement: Statement | undefined): boolean =>
  statement?.predicateType.startsWith('https://slsa.dev/provenance/') === true;

/** What stays of an identity. */
export function pinnedIdentity({ issuer, subjectAlternativeName }: Identity, claims: FulcioClaims): PinnedIdentity {
  const { githubWorkflowRepository, sourceRepositoryIdentifier, sourceRepositoryOwnerIdentifier } = claims;
  const sourceRepository =
    claims.sourceRepositoryUri ??
    (githubWorkflowRepository === undefined ? undefined : `https://github.com/${githubWorkflowRepository}`);
  // Only of a workflow: in an email address @ means something else.
  const [, workflow] = /^(https:\/\/[^@]+\.ya?ml)@.+$/.exec(subjectAlternativeName) ?? [];
  return {
    kind: 'certificate',
    issuer,
    subjectAlternativeName: (sourceRepository === undefined ? undefined : workflow) ?? subjectAlternativeName,
    ...(sourceRepository !== undefined && { sourceRepository }),
    ...(sourceRepositoryIdentifier !== undefined && { sourceRepositoryIdentifier }),
    ...(sourceRepositoryOwnerIdentifier !== undefined && { sourceRepositoryOwnerIdentifier }),
  };
}

/** The key that signed last time. SIGNER_CHANGED if it was an identity; PIN_MISSING */
export function requirePinnedKey(policy: PinPolicy, artifact: Artifact): PublicKey {
  const { name, pin } = requirePin(policy, artifact);
  if (pin.signer.kind === 'key') return pin.signer.key;
  throw signerChanged(name, 'signed with a key', pin.signer);
}

/**
 * A verified signature is by whom signers.lock names for the artifact, and has provenance if the last one had. Returns the
 * identity, if it is one. PIN_MISSING, SIGNER_CHANGED, PROVENANCE_LOST.
 */
export function requirePinned(
  signer: Signer,
  statement: Statement | undefined,
  policy: PinPolicy,
  artifact: Artifact,
): Identity | undefined {
  const { name, pin } = requirePin(policy, artifact);
  const identity = requireSameSigner(name, signer, pin.signer);
  if (pin.provenance && !isProvenance(statement)) {
    throw new VerificationError(
      'PROVENANCE_LOST',
      'policy',
      `${name} had provenance last time, and this is ${statement === undefined ? 'a plain signature' : `an attestation of type ${statement.predicateType}`}`,
      {
        evidence: statement === undefined ? 'messageSignature' : 'dsseEnvelope.payload',
        hint: `get the provenance from where ${name} came from; if it is no longer made, and you know why: hallmark pin --accept-change ...`,
      },
    );
  }
  return identity;
}

function requireSameSigner(name: string, signer: Signer, pinned: PinnedSigner): Identity | undefined {
  if (signer.kind === 'key') {
    if (pinned.kind === 'key' && equal(pinned.key.spki, signer.key.spki)) return undefined;
    throw signerChanged(name, 'signed with a key', pinned);
  }
  const { identities, claims } = identitiesOf(signer.certificate);
  if (pinned.kind === 'certificate') {
    const same = identities.find((identity) => changedMember(pinned, pinnedIdentity(identity, claims)) === undefined);
    if (same !== undefined) return same;
  }
  const [first] = identities;
  if (first === undefined) throw signerChanged(name, 'signed by nobody that the certificate names', pinned);
  const found = pinnedIdentity(first, claims);
  const member = pinned.kind === 'certificate' ? changedMember(pinned, found) : undefined;
  throw signerChanged(
    name,
    member === undefined || member === 'issuer' || member === 'subjectAlternativeName'
      ? `signed by ${found.subjectAlternativeName} (issuer ${found.issuer})`
      : `signed with ${member} ${found[member] ?? '(none)'}, not ${pinned.kind === 'certificate' ? pinned[member] : ''}`,
    pinned,
  );
}

const MEMBERS = [
  'issuer',
  'subjectAlternativeName',
  'sourceRepository',
  'sourceRepositoryIdentifier',
  'sourceRepositoryOwnerIdentifier',
] as const;

/** The first of the pinned members that is not the same now; one that was not known then may be anything. */
function changedMember(pinned: PinnedIdentity, found: PinnedIdentity): (typeof MEMBERS)[number] | undefined {
  return MEMBERS.find((member) => pinned[member] !== undefined && pinned[member] !== found[member]);
}

/**
 * What became of a pin: undefined if nothing, `gained` if more is known of the same signer or it now has provenance; the rest
 * is what signers.lock is there to notice.
 */
export function changedPin(before: Pin, now: Pin): 'gained' | 'signer' | 'provenance' | undefined {
  if (!isSameSigner(before.signer, now.signer)) return 'signer';
  if (before.provenance && !now.provenance) return 'provenance';
  return before.provenance === now.provenance && isSameSigner(now.signer, before.signer) ? undefined : 'gained';
}

function isSameSigner(pinned: PinnedSigner, found: PinnedSigner): boolean {
  if (pinned.kind === 'key') return found.kind === 'key' && equal(pinned.key.spki, found.key.spki);
  return found.kind === 'certificate' && changedMember(pinned, found) === undefined;
}

function requirePin({ pins, name: given }: PinPolicy, artifact: Artifact): { name: string; pin: Pin } {
  const name = given ?? artifact.name;
  if (name === undefined) {
    throw new VerificationError('PIN_MISSING', 'policy', 'the artifact has no name to find it by in signers.lock', {
      evidence: 'verificationMaterial',
      hint: 'say it with --lock-name NAME',
    });
  }
  const pin = pins.get(name);
  if (pin !== undefined) return { name, pin };
  throw new VerificationError('PIN_MISSING', 'policy', `signers.lock does not say who signs ${name}`, {
    evidence: 'verificationMaterial',
    hint: 'once you know that it is right, hallmark pin FILE; or give its name there with --lock-name',
  });
}

function signerChanged(name: string, found: string, pinned: PinnedSigner): VerificationError {
  return new VerificationError(
    'SIGNER_CHANGED',
    'policy',
    `${name} is ${found}; last time it was ${pinnedText(pinned)}`,
    {
      evidence: 'verificationMaterial',
      hint: 'ask its publishers whether that is theirs; if it is: hallmark pin --accept-change ...',
    },
  );
}

/** A pinned signer, to be shown. */
export function pinnedText(pinned: PinnedSigner): string {
  return pinned.kind === 'key'
    ? `the key sha256:${serializeHex(keyFingerprint(pinned.key))}`
    : `${pinned.subjectAlternativeName} (issuer ${pinned.issuer})`;
}
