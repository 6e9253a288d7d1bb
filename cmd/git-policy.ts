import { parseUtf8 } from '../core/bytes/bytes.ts';
import { parseNamed, UsageError } from '../core/errors.ts';
import { readFileBounded } from '../core/files.ts';
import { MAX_POLICY_BYTES } from '../core/limits.ts';
import type { IdentityPolicy } from '../core/verify/identity.ts';
import { parsePreset } from '../core/verify/presets.ts';
import { type GitPolicy, parseGitPolicy } from '../gitsign/policy.ts';
import type { GitSettings } from './git-settings.ts';
import { parseDocument } from './policy-file.ts';

const HINT = 'docs/git.md describes every member, with examples';

/** Reads a policy for repositories from a file, JSON or YAML. INPUT_*, POLICY_INVALID. */
export function readGitPolicy(path: string): GitPolicy {
  return parseGitPolicyText(path, readFileBounded(path, MAX_POLICY_BYTES, 'policy', HINT));
}

/** The same from bytes that are called `name`. */
export const parseGitPolicyText = (name: string, bytes: Uint8Array): GitPolicy =>
  parseNamed(`policy ${name}`, HINT, () => parseGitPolicy(parseDocument(name, parseUtf8(bytes))));

/**
 * The user's own policy: the file and the words of the settings, which a repository cannot change. Undefined if there is none.
 * USAGE, POLICY_INVALID.
 */
export function userGitPolicy(settings: GitSettings): GitPolicy | undefined {
  const path = settings.get('policy');
  const words = settings.all('signer');
  const rules = path === undefined ? [] : [...readGitPolicy(path.value).rules];
  if (words.length > 0) {
    const identities = words.flatMap(({ value, source }) => {
      try {
        return parsePreset(value);
      } catch (cause) {
        throw new UsageError(`hallmark.signer is ${JSON.stringify(value.slice(0, 80))} (${source})`, {
          cause,
          hint: 'expected email:NAME@DOMAIN, google:NAME@DOMAIN, github:OWNER/REPO or gitlab:GROUP/PROJECT',
        });
      }
    });
    rules.push(anywhere('hallmark.signer', { identities }));
  }
  return rules.length > 0 ? { rules } : undefined;
}

/** A policy of one rule: these may sign anything, whoever committed it. */
export const policyOfIdentities = (name: string, policy: IdentityPolicy): GitPolicy => ({
  rules: [anywhere(name, policy)],
});

const anywhere = (name: string, { identities }: IdentityPolicy): GitPolicy['rules'][number] => ({
  rule: { name, identities, keys: [], predicateTypes: [], conditions: [] },
  branches: [],
  tags: [],
  paths: [],
  matchCommitter: false,
});
