import { equal } from '../bytes/bytes.ts';
import type { PublicKey } from '../crypto/public-key.ts';
import type { Statement } from '../dsse/statement.ts';
import { type ErrorCode, VerificationError } from '../errors.ts';
import { type Identity, type IdentityPolicy, requireIdentity } from './identity.ts';
import { type Condition, unmetCondition } from './policy-condition.ts';
import type { Signer } from './signer.ts';

/** Who may sign, and what a signature has to state. */
export interface Rule extends IdentityPolicy {
  /** Unique within the policy. */
  readonly name: string;
  /** Keys that may sign, beside the identities. */
  readonly keys: readonly PublicKey[];
  /** If any are named, an attestation of one of these predicate types is required. */
  readonly predicateTypes: readonly string[];
  /** All of them are required. */
  readonly conditions: readonly Condition[];
}

/** One of the rules has to allow the signature. */
export interface RulePolicy {
  readonly rules: readonly Rule[];
}

/** The different keys of all rules. */
export function keysOf({ rules }: RulePolicy): PublicKey[] {
  const keys: PublicKey[] = [];
  for (const key of rules.flatMap((rule) => rule.keys)) {
    if (!keys.some((known) => equal(known.spki, key.spki))) keys.push(key);
  }
  return keys;
}

/** Why one rule does not allow a signature. */
interface RuleVerdict {
  readonly rule: string;
  readonly code: ErrorCode;
  readonly message: string;
}

/** The signature is genuine, but no rule allows it. `verdicts`: one for each rule, in the policy's order. */
export class PolicyMismatchError extends VerificationError {
  declare readonly code: 'POLICY_MISMATCH';
  readonly verdicts: readonly RuleVerdict[];
  constructor(verdicts: readonly RuleVerdict[]) {
    const reasons = verdicts.map(({ rule, message }) => `rule ${rule}: ${message}`).join('; ');
    super('POLICY_MISMATCH', 'policy', `no rule of the policy allows it: ${reasons}`, {
      evidence: 'verificationMaterial',
      hint: 'if it should be allowed, add to a rule what it says, or a rule: docs/policy.md',
    });
    this.verdicts = verdicts;
  }
}

/** The first rule that allows a verified signature, and the identity that it was allowed for. POLICY_MISMATCH */
export function requireRule(
  signer: Signer,
  statement: Statement | undefined,
  { rules }: RulePolicy,
): { rule: string; identity: Identity | undefined } {
  const verdicts: RuleVerdict[] = [];
  for (const rule of rules) {
    try {
      const identity = requireSignerOf(rule, signer);
      requireStatement(rule, statement);
      return { rule: rule.name, identity };
    } catch (error) {
      if (!(error instanceof VerificationError)) throw error;
      verdicts.push({ rule: rule.name, code: error.code, message: error.message });
    }
  }
  throw new PolicyMismatchError(verdicts);
}

function requireSignerOf(rule: Rule, signer: Signer): Identity | undefined {
  if (signer.kind === 'certificate') {
    if (rule.identities.length > 0) return requireIdentity(signer.certificate, rule);
    throw new VerificationError('KEY_MISMATCH', 'policy', 'signed with a certificate, and the rule names only keys');
  }
  if (rule.keys.some((key) => equal(key.spki, signer.key.spki))) return undefined;
  throw new VerificationError(
    'KEY_MISMATCH',
    'policy',
    rule.keys.length > 0 ? 'signed with another key' : 'signed with a key, and the rule names only identities',
  );
}

function requireStatement({ predicateTypes, conditions }: Rule, statement: Statement | undefined): void {
  if (predicateTypes.length === 0) return;
  if (statement === undefined || !predicateTypes.includes(statement.predicateType)) {
    const found = statement === undefined ? 'a plain signature' : `an attestation of type ${statement.predicateType}`;
    throw new VerificationError('PREDICATE_TYPE_UNEXPECTED', 'policy', `${found}, not ${predicateTypes.join(' or ')}`);
  }
  for (const condition of conditions) {
    const problem = unmetCondition(condition, statement.predicate);
    if (problem !== undefined) throw new VerificationError('PREDICATE_MISMATCH', 'policy', problem);
  }
}
