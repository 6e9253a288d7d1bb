import { Fields } from '../core/bytes/fields.ts';
import type { Json } from '../core/bytes/json.ts';
import { InputError, VerificationError } from '../core/errors.ts';
import { MAX_POLICY_ITEMS, MAX_POLICY_RULES } from '../core/limits.ts';
import { exactly, glob, isMatch, type Matcher, matcherText } from '../core/verify/matcher.ts';
import { parsePolicy } from '../core/verify/policy-file.ts';
import { type Rule, requireRule } from '../core/verify/policy-rule.ts';
import { isMaker, type Person } from './person.ts';
import type { VerifiedGitSignature } from './verify.ts';

/** A rule of core's policies, and where in a repository it holds. */
interface GitRule {
  readonly rule: Rule;
  /** Short names of branches and tags; without either the rule holds wherever no other is more particular. */
  readonly branches: readonly Matcher[];
  readonly tags: readonly Matcher[];
  /** Paths from the top of the repository; without any the rule holds wherever no other is more particular. */
  readonly paths: readonly Matcher[];
  /** True if the committer has to be the signer. */
  readonly matchCommitter: boolean;
}

/** Who may sign what in a repository. */
export interface GitPolicy {
  readonly rules: readonly GitRule[];
}

/** Where an object stands. */
export interface GitPlace {
  /** Full name of the branch or tag that it is to be on: refs/heads/main. Undefined where that is not known. */
  readonly ref: string | undefined;
  /** The paths that a commit changes; undefined of a tag. */
  readonly paths: readonly string[] | undefined;
  /** Who made it, by its own word. */
  readonly maker: Person | undefined;
}

const OWN_MEMBERS: readonly string[] = ['branches', 'tags', 'paths', 'committer'];

/**
 * Parses a policy for repositories (docs/git.md): rules as docs/policy.md describes them, with identities alone, and beside
 * these `branches`, `tags`, `paths` and `committer`. Unknown members are refused. POLICY_INVALID
 */
export function parseGitPolicy(json: Json): GitPolicy {
  const fields = new Fields(json, '', 'POLICY_INVALID');
  const given = fields.objects('rules', MAX_POLICY_RULES);
  const rules = fields.array('rules', MAX_POLICY_RULES).map((rule) => withoutOwnMembers(rule));
  // What is left of it is a policy as any other, and is held to the same.
  const policy = parsePolicy({ ...(json as { [key: string]: Json }), rules }, () => {
    throw new InputError('POLICY_INVALID', 'git signatures are made with certificates, never with kept keys');
  });
  return {
    rules: policy.rules.map((rule, i) => {
      const own = given[i] as Fields;
      if (rule.predicateTypes.length > 0) throw own.fail('predicateTypes', 'git signatures have none');
      const committer = own.optionalString('committer') ?? 'signer';
      if (committer !== 'signer' && committer !== 'anybody') throw own.fail('committer', 'expected signer or anybody');
      return {
        rule,
        branches: globs(own, 'branches'),
        tags: globs(own, 'tags'),
        paths: [...globs(own, 'paths'), ...globs(own, 'paths').flatMap(foldersOf)],
        matchCommitter: committer === 'signer',
      };
    }),
  };
}

function withoutOwnMembers(rule: Json): Json {
  if (typeof rule !== 'object' || rule === null || Array.isArray(rule)) return rule;
  return Object.fromEntries(Object.entries(rule).filter(([name]) => !OWN_MEMBERS.includes(name)));
}

function globs(fields: Fields, key: string): Matcher[] {
  const items = fields.array(key, MAX_POLICY_ITEMS);
  if (fields.json(key) !== undefined && items.length === 0) throw fields.fail(key, 'empty: leave it out');
  return items.map((item, i) => {
    if (typeof item !== 'string' || item === '') throw fields.fail(`${key}[${i}]`, 'expected a text');
    return glob(item);
  });
}

// A rule for what is in a folder is about the folder too: a link or a submodule in its place decides what is found there.
function foldersOf(matcher: Matcher): Matcher[] {
  const folders = matcherText(matcher).split('/').slice(0, -1);
  const plain = folders.findIndex((name) => name.includes('*'));
  const named = plain < 0 ? folders : folders.slice(0, plain);
  return named.map((_, i) => exactly(named.slice(0, i + 1).join('/')));
}

/** True if what a commit changes matters to the policy. */
export const hasPaths = ({ rules }: GitPolicy): boolean => rules.some(({ paths }) => paths.length > 0);

/** True if the branch or tag matters to the policy. */
export const hasRefs = ({ rules }: GitPolicy): boolean =>
  rules.some(({ branches, tags }) => branches.length > 0 || tags.length > 0);

/**
 * The names of the rules that allow a verified signature here. Of branches and of paths the more particular rules decide: one
 * that names a branch or tag sets those aside that name none, and one that names a path sets those aside, for this path, that
 * name none. Every path has to be allowed. POLICY_MISMATCH
 */
export function requireGitPolicy(signature: VerifiedGitSignature, { rules }: GitPolicy, place: GitPlace): string[] {
  if (place.ref !== undefined && hasRefs({ rules }) && !/^refs\/(?:heads|tags)\/./.test(place.ref)) {
    throw refused(`the policy has rules for branches or tags, and ${place.ref} is neither`);
  }
  const here = mostParticular(rules, refMatches(place.ref), ({ branches, tags }) => branches.length + tags.length > 0);
  const allowed = new Set<string>();
  // A commit that changes nothing, and a tag, are held to the rules for the whole repository.
  for (const path of place.paths === undefined || place.paths.length === 0 ? [undefined] : place.paths) {
    const for_ = mostParticular(
      here,
      (rule) => path !== undefined && rule.paths.some((matcher) => isMatch(matcher, path)),
      ({ paths }) => paths.length > 0,
    );
    allowed.add(requireOneOf(signature, for_, place, path));
  }
  return [...allowed];
}

function refMatches(ref: string | undefined): (rule: GitRule) => boolean {
  const branch = ref?.startsWith('refs/heads/') ? ref.slice('refs/heads/'.length) : undefined;
  const tag = ref?.startsWith('refs/tags/') ? ref.slice('refs/tags/'.length) : undefined;
  return ({ branches, tags }) =>
    (branch !== undefined && branches.some((matcher) => isMatch(matcher, branch))) ||
    (tag !== undefined && tags.some((matcher) => isMatch(matcher, tag)));
}

function mostParticular(
  rules: readonly GitRule[],
  matches: (rule: GitRule) => boolean,
  isParticular: (rule: GitRule) => boolean,
): readonly GitRule[] {
  const particular = rules.filter(matches);
  return particular.length > 0 ? particular : rules.filter((rule) => !isParticular(rule));
}

function requireOneOf(
  signature: VerifiedGitSignature,
  rules: readonly GitRule[],
  { ref, maker }: GitPlace,
  path: string | undefined,
): string {
  const { certificate } = signature;
  const where = [ref, path].filter((part) => part !== undefined).join(', ');
  if (rules.length === 0) throw refused(`no rule of the policy is about ${where || 'this'}`);
  const problems: string[] = [];
  for (const { rule, matchCommitter } of rules) {
    try {
      const signer = { kind: 'certificate', key: certificate.publicKey, certificate } as const;
      const { identity } = requireRule(signer, undefined, { rules: [rule] });
      if (!matchCommitter || isMaker(maker, identity?.subjectAlternativeName ?? '')) return rule.name;
      problems.push(`rule ${rule.name}: the committer, ${maker?.email ?? 'unknown'}, is not the signer`);
    } catch (error) {
      if (!(error instanceof VerificationError)) throw error;
      problems.push(error.message.replace('no rule of the policy allows it: ', ''));
    }
  }
  throw refused(
    `no rule of the policy allows ${signature.subjectAlternativeName}${where && ` on ${where}`}: ${problems.join('; ')}`,
  );
}

const refused = (problem: string): VerificationError =>
  new VerificationError('POLICY_MISMATCH', 'policy', problem, {
    hint: 'if it should be allowed, add to the policy who may sign this: docs/git.md',
  });
