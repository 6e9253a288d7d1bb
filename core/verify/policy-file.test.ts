import { describe, expect, test } from 'bun:test';
import type { Json } from '../bytes/json.ts';
import { type PublicKey, parsePublicKeyPem, serializePublicKeyPem } from '../crypto/public-key.ts';
import { errorOf } from '../testing.ts';
import { keyOf } from '../x509/testing.ts';
import { matcherText } from './matcher.ts';
import { parsePolicy } from './policy-file.ts';

const PEM = serializePublicKeyPem(keyOf('policy').publicKey);
const IDENTITY = { issuer: 'https://issuer.example.com', subjectAlternativeName: 'a@example.com' };
const RULE = { name: 'release', identities: [IDENTITY] };

const parse = (json: unknown) => parsePolicy(json as Json, (reference): PublicKey => parsePublicKeyPem(reference));
const parseRule = (rule: object) => parse({ version: 1, rules: [{ ...RULE, ...rule }] }).rules[0];

describe('a policy', () => {
  test('with everything', () => {
    const [first, second] = parse({
      version: 1,
      rules: [
        {
          name: 'built by CI',
          identities: [
            { from: 'gitlab:acme/app', claims: { 'source-repository-ref': { glob: 'refs/tags/v*' } } },
            { issuer: { glob: 'https://*.example.com' }, subjectAlternativeName: { regexp: '.*@example\\.com' } },
          ],
          claims: { 'runner-environment': 'github-hosted' },
          predicateTypes: ['slsaprovenance1', 'https://example.com/type'],
          predicate: [{ path: '/a~1b/0', in: ['x', 1, true] }],
        },
        { name: 'by key', keys: [PEM] },
      ],
    }).rules;
    expect(first?.identities.map((each) => each.claims?.map(({ claim }) => claim))).toEqual([
      ['sourceRepositoryUri', 'sourceRepositoryRef', 'runnerEnvironment'],
      ['runnerEnvironment'],
    ]);
    expect(first?.identities.map((each) => matcherText(each.issuer))).toEqual([
      'https://gitlab.com',
      'https://*.example.com',
    ]);
    expect(first?.predicateTypes).toEqual(['https://slsa.dev/provenance/v1', 'https://example.com/type']);
    expect(first?.conditions[0]?.steps).toEqual(['a/b', '0']);
    expect(second?.keys).toHaveLength(1);
  });
});

describe('refused, with its place', () => {
  test.each([
    ['not an object', [], 'document'],
    ['no version', { rules: [RULE] }, 'version'],
    ['another version', { version: 2, rules: [RULE] }, 'version'],
    ['no rules', { version: 1 }, 'rules'],
    ['an empty list of rules', { version: 1, rules: [] }, 'rules'],
    ['an unknown member', { version: 1, rules: [RULE], rule: 1 }, 'rule'],
    ['two rules of one name', { version: 1, rules: [RULE, RULE] }, 'rules[1].name'],
    [
      'too many rules',
      { version: 1, rules: Array.from({ length: 257 }, (_, i) => ({ ...RULE, name: `${i}` })) },
      'rules',
    ],
  ])('%s', (_, json, place) => {
    const error = errorOf(() => parse(json));
    expect(error.code).toBe('POLICY_INVALID');
    expect(error.message).toStartWith(`${place}: `);
  });

  test.each([
    ['a rule without a name', { name: undefined }, 'name'],
    ['a name with a line break', { name: 'a\nb' }, 'name'],
    ['an unknown member', { identity: IDENTITY }, 'identity'],
    ['nobody, so that anybody could sign', { identities: undefined }, 'identities'],
    ['an empty list of identities', { identities: [] }, 'identities'],
    ['identities that are left empty', { identities: null }, 'identities'],
    ['predicate types that are left empty', { predicateTypes: null }, 'predicateTypes'],
    ['claims that are left empty', { claims: null }, 'claims'],
    ['a claim that is left empty', { claims: { 'runner-environment': null } }, 'claims.runner-environment'],
    ['an empty claim', { claims: { 'runner-environment': '' } }, 'claims.runner-environment'],
    ['an unknown claim', { claims: { runner: 'x' } }, 'claims'],
    ['a claim by its other name', { claims: { runnerEnvironment: 'x' } }, 'claims'],
    ['claims of a key', { identities: undefined, keys: [PEM], claims: { issuer: 'x' } }, 'claims'],
    ['an identity without an issuer', { identities: [{ subjectAlternativeName: 'a' }] }, 'identities[0].issuer'],
    ['an identity without a name', { identities: [{ issuer: 'a' }] }, 'identities[0].subjectAlternativeName'],
    [
      'a preset beside an issuer',
      { identities: [{ from: 'google:a@b.example', issuer: 'x' }] },
      'identities[0].issuer',
    ],
    ['a preset that is none', { identities: [{ from: 'github:acme' }] }, 'identities[0].from'],
    ['an identity as a text', { identities: ['a@example.com'] }, 'identities[0]'],
    ['an issuer that is a number', { identities: [{ ...IDENTITY, issuer: 1 }] }, 'identities[0].issuer'],
    [
      'a matcher of two kinds',
      { identities: [{ ...IDENTITY, issuer: { glob: 'a', regexp: 'a' } }] },
      'identities[0].issuer',
    ],
    [
      'a matcher of an unknown kind',
      { identities: [{ ...IDENTITY, issuer: { prefix: 'a' } }] },
      'identities[0].issuer',
    ],
    ['a glob with three stars', { identities: [{ ...IDENTITY, issuer: { glob: '***' } }] }, 'identities[0].issuer'],
    [
      'a regular expression with back-references',
      { identities: [{ ...IDENTITY, issuer: { regexp: '(a)\\1' } }] },
      'identities[0].issuer',
    ],
    ['a key that is none', { keys: ['release.pub'] }, 'keys[0]'],
    ['a key as an object', { keys: [{ file: 'a' }] }, 'keys[0]'],
    ['a predicate type that is none', { predicateTypes: ['nonsense'] }, 'predicateTypes[0]'],
    ['conditions without a type', { predicate: [{ path: '/a', exists: true }] }, 'predicate'],
  ])('%s', (_, rule, place) => {
    const error = errorOf(() => parseRule(rule));
    expect(error.code).toBe('POLICY_INVALID');
    expect(error.message).toStartWith(`rules[0].${place}: `);
  });

  test.each([
    ['no path', { exists: true }],
    ['a path without a slash', { path: 'a.b', exists: true }],
    ['an empty path', { path: '', exists: true }],
    ['a path with a lone ~', { path: '/a~b', exists: true }],
    ['a path of too many steps', { path: '/a'.repeat(65), exists: true }],
    ['no test', { path: '/a' }],
    ['two tests', { path: '/a', equals: 1, exists: true }],
    ['an unknown test', { path: '/a', matches: 'x' }],
    ['an unknown member', { path: '/a', equals: 1, not: true }],
    ['equal to null', { path: '/a', equals: null }],
    ['equal to an object', { path: '/a', equals: { b: 1 } }],
    ['equal to a number that is not exact', { path: '/a', equals: 2 ** 53 }],
    ['equal to a fraction', { path: '/a', equals: 0.1 }],
    ['in nothing', { path: '/a', in: [] }],
    ['in a text', { path: '/a', in: 'x' }],
    ['in too many', { path: '/a', in: Array.from({ length: 257 }, () => 1) }],
    ['a glob that is a number', { path: '/a', glob: 1 }],
    ['a glob with three stars', { path: '/a', glob: '***' }],
    ['exists as a text', { path: '/a', exists: 'true' }],
  ])('a condition with %s', (_, condition) => {
    const error = errorOf(() => parseRule({ predicateTypes: ['slsaprovenance1'], predicate: [condition] }));
    expect(error.code).toBe('POLICY_INVALID');
    expect(error.message).toStartWith('rules[0].predicate[0]');
  });

  test('too many keys', () => {
    const keys = Array.from({ length: 33 }, (_, i) => serializePublicKeyPem(keyOf(`many ${i}`).publicKey));
    expect(errorOf(() => parseRule({ keys })).message).toContain('more than 32 keys');
    expect(parseRule({ keys: keys.slice(1) })?.keys).toHaveLength(32);
  });
});
