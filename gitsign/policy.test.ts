import { describe, expect, test } from 'bun:test';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import { HallmarkError } from '../core/errors.ts';
import { isMaker, makerOf } from './person.ts';
import { type GitPlace, hasPaths, hasRefs, parseGitPolicy, requireGitPolicy } from './policy.ts';
import { commitPayload, gitStack, tagPayload } from './testing.ts';

const ISSUER = 'https://issuer.example';
const rule = (name: string, who: string, more: { [key: string]: Json } = {}): Json => ({
  name,
  identities: [{ issuer: ISSUER, subjectAlternativeName: who }],
  ...more,
});
const policy = (...rules: Json[]) => parseGitPolicy({ version: 1, rules });
const signed = gitStack().then(async (stack) =>
  stack.verify(commitPayload(), (await stack.sign(commitPayload())).armor),
);

async function allowed(rules: Json[], place: Partial<GitPlace> = {}): Promise<string> {
  const maker = { name: 'A', email: 'a@b.example' };
  try {
    return requireGitPolicy(await signed, policy(...rules), {
      ref: 'refs/heads/main',
      paths: ['x'],
      maker,
      ...place,
    }).join();
  } catch (error) {
    if (error instanceof HallmarkError) return error.code;
    throw error;
  }
}

describe('who may sign', () => {
  const me = 'a@b.example';
  test('whoever a rule names', async () => {
    expect(await allowed([rule('others', 'c@d.example'), rule('me', me)])).toBe('me');
    expect(await allowed([rule('others', 'c@d.example')])).toBe('POLICY_MISMATCH');
  });
  test('only the rule for a branch counts on it', async () => {
    const rules = [rule('all', me), rule('release', 'c@d.example', { branches: ['release/**'] })];
    expect(await allowed(rules)).toBe('all');
    expect(await allowed(rules, { ref: 'refs/heads/release/1/x' })).toBe('POLICY_MISMATCH');
    expect(await allowed(rules, { ref: 'refs/tags/release/1' })).toBe('all');
    expect(hasRefs(policy(...rules))).toBe(true);
  });
  test('only the rule for a tag counts for it', async () => {
    const rules = [rule('all', 'c@d.example'), rule('tags', me, { tags: ['v*'] })];
    expect(await allowed(rules, { ref: 'refs/tags/v1', paths: undefined })).toBe('tags');
    expect(await allowed(rules, { ref: 'refs/tags/x', paths: undefined })).toBe('POLICY_MISMATCH');
  });
  test('only the rule for a path counts for it, and every path has to be allowed', async () => {
    const rules = [rule('all', me), rule('secrets', 'c@d.example', { paths: ['secrets/**', '.hallmark/**'] })];
    expect(await allowed(rules, { paths: ['src/a', 'src/b'] })).toBe('all');
    expect(await allowed(rules, { paths: ['src/a', 'secrets/b'] })).toBe('POLICY_MISMATCH');
    expect(await allowed(rules, { paths: [] })).toBe('all');
    expect(hasPaths(policy(...rules))).toBe(true);
  });
  test('nobody, where no rule is about it', async () => {
    expect(await allowed([rule('docs', me, { paths: ['docs/**'] })], { paths: ['src/a'] })).toBe('POLICY_MISMATCH');
    expect(await allowed([rule('main', me, { branches: ['main'] })], { ref: undefined })).toBe('POLICY_MISMATCH');
  });
  test('the committer has to be the signer, unless the rule lets anybody commit', async () => {
    const maker = { name: 'B', email: 'b@b.example' };
    expect(await allowed([rule('me', me)], { maker })).toBe('POLICY_MISMATCH');
    expect(await allowed([rule('me', me)], { maker: undefined })).toBe('POLICY_MISMATCH');
    expect(await allowed([rule('me', me, { committer: 'anybody' })], { maker })).toBe('me');
  });
});

describe('refused, by flaw', () => {
  for (const [flaw, json] of [
    ['an unknown member', { version: 1, rules: [rule('a', 'b', { branch: ['main'] })] }],
    ['an unknown member beside the rules', { version: 1, rules: [rule('a', 'b')], committer: 'anybody' }],
    ['no version', { rules: [rule('a', 'b')] }],
    ['no rules', { version: 1, rules: [] }],
    ['no identity', { version: 1, rules: [{ name: 'a' }] }],
    ['a key', { version: 1, rules: [rule('a', 'b', { keys: ['-----BEGIN'] })] }],
    ['a predicate type', { version: 1, rules: [rule('a', 'b', { predicateTypes: ['slsaprovenance1'] })] }],
    ['an empty list of branches', { version: 1, rules: [rule('a', 'b', { branches: [] })] }],
    ['a branch that is no text', { version: 1, rules: [rule('a', 'b', { branches: [1] })] }],
    ['another word for the committer', { version: 1, rules: [rule('a', 'b', { committer: 'any' })] }],
    ['two rules of a name', { version: 1, rules: [rule('a', 'b'), rule('a', 'c')] }],
    ['a rule that is none', { version: 1, rules: ['a'] }],
    ['no object', []],
  ] as [string, Json][]) {
    test(flaw, () => {
      try {
        parseGitPolicy(json);
      } catch (error) {
        if (error instanceof HallmarkError) return expect(error.code).toBe('POLICY_INVALID');
      }
      throw new Error('accepted');
    });
  }
});

describe('the maker of an object', () => {
  test('of a commit, a tag and a push certificate', () => {
    const push = 'certificate version 0.1\npusher A B <a@b.example> 1700000000 +0100\npushee x\n\n';
    expect(makerOf(commitPayload())).toEqual({ name: 'A', email: 'a@b.example' });
    expect(makerOf(tagPayload())).toEqual({ name: 'A', email: 'a@b.example' });
    expect(makerOf(serializeUtf8(push))).toEqual({ name: 'A B', email: 'a@b.example' });
  });
  test('is unknown where two are named, or none in the form of git', () => {
    const twice = 'tree 1\ncommitter A <a@b> 1 +0000\ncommitter B <b@b> 1 +0000\n\n';
    for (const text of [twice, 'tree 1\n\ncommitter A <a@b> 1 +0000\n', 'tree 1\ncommitter A a@b 1 +0000\n\n']) {
      expect(makerOf(serializeUtf8(text))).toBeUndefined();
    }
  });
  test('is not the signer because their name says so', async () => {
    expect(isMaker({ name: 'mal@example.com', email: 'ana@example.com' }, 'mal@example.com')).toBe(false);
    expect(isMaker({ name: 'x', email: 'https://ci.example/job@main' }, 'https://ci.example/job@main')).toBe(false);
    const maker = { name: 'a@b.example', email: 'ana@example.com' };
    expect(await allowed([rule('me', 'a@b.example')], { maker })).toBe('POLICY_MISMATCH');
  });
  test('is the signer by address, of a URI by name', () => {
    expect(isMaker({ name: 'x', email: 'a@b' }, 'a@b')).toBe(true);
    expect(isMaker({ name: 'https://ci.example/job', email: 'a@b' }, 'https://ci.example/job')).toBe(true);
    expect(isMaker({ name: 'x', email: 'a@b' }, 'A@b')).toBe(false);
    expect(isMaker(undefined, '')).toBe(false);
  });
});
