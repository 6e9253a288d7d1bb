import { describe, expect, test } from 'bun:test';
import { serializeBase64, serializeHex, serializeUtf8 } from '../bytes/bytes.ts';
import type { Json } from '../bytes/json.ts';
import { sha256 } from '../crypto/hash.ts';
import { keyFingerprint } from '../crypto/public-key.ts';
import { serializeStatement } from '../dsse/testing.ts';
import { errorOf } from '../testing.ts';
import { keyOf } from '../x509/testing.ts';
import { parsePolicy } from './policy-file.ts';
import { PolicyMismatchError, type Rule, type RulePolicy, requireRule } from './policy-rule.ts';
import type { Signer } from './signer.ts';
import { GITHUB_ACTIONS, workflowCertificate } from './testing.ts';
import {
  type Case,
  caseOf,
  expectRejected,
  keyAttested,
  keySigned,
  SAMPLES,
  verify,
  withBundle,
  withOptions,
} from './testing-cases.ts';

const ARTIFACT = serializeUtf8('artifact');
const PROVENANCE = 'https://slsa.dev/provenance/v1';

/** A policy whose keys are those of `keyOf`, by name. */
const policyOf = (...rules: object[]): RulePolicy =>
  parsePolicy(
    { version: 1, rules: rules.map((rule, i) => ({ name: `rule${i}`, ...rule })) } as Json,
    (name) => keyOf(name).publicKey,
  );
const byKey = (name: string, ...rules: object[]): Case =>
  withOptions(keySigned(keyOf(name), ARTIFACT), { policy: policyOf(...rules) });

const statement = (predicateType: string, predicate: Json): Uint8Array =>
  serializeStatement({
    type: 'https://in-toto.io/Statement/v1',
    subjects: [{ name: 'a', digest: { sha256: serializeHex(sha256(ARTIFACT)) } }],
    predicateType,
    predicate,
  });
const attested = (predicateType: string, predicate: Json, ...rules: object[]): Case =>
  withOptions(
    keyAttested(keyOf('one'), ARTIFACT, 'application/vnd.in-toto+json', statement(predicateType, predicate)),
    {
      policy: policyOf(...rules),
    },
  );

const verdictsOf = (the: Case): string[] => {
  const error = errorOf(() => verify(the));
  if (!(error instanceof PolicyMismatchError)) throw error;
  return error.verdicts.map(({ rule, code }) => `${rule} ${code}`);
};

describe('rules by key', () => {
  test('the first rule that allows it is named', () => {
    expect(verify(byKey('one', { keys: ['two'] }, { keys: ['one'] }, { keys: ['one', 'two'] })).rule).toBe('rule1');
  });

  test('each of several keys, with the right hint, none or a wrong one', () => {
    for (const name of ['one', 'two']) {
      for (const hint of ['', 'SHA256:unknown', serializeBase64(keyFingerprint(keyOf(name).publicKey))]) {
        const the = byKey(name, { keys: ['one', 'two'] });
        expect(verify(withBundle(the, { material: { kind: 'publicKey', hint } })).rule).toBe('rule0');
      }
    }
  });

  test('a key of no rule', () => {
    expectRejected('SIGNATURE_INVALID', byKey('three', { keys: ['one'] }));
    expectRejected('KEY_MISMATCH', byKey('three', { keys: ['one', 'two'] }));
  });

  test('what is wrong beside the key, where several are tried', () => {
    const the = byKey('two', { keys: ['one', 'two'] });
    const other = { digests: { sha256: sha256(serializeUtf8('other')) } };
    expectRejected('PREDICATE_TYPE_UNEXPECTED', withOptions(the, { predicateType: PROVENANCE }));
    expectRejected('KEY_MISMATCH', withOptions(the, { artifact: other }));
    const { content } = the.bundle;
    if (content.kind !== 'message') throw new Error('internal: no message');
    const digest = { hash: 'sha256', digest: sha256(ARTIFACT) } as const;
    expectRejected(
      'DIGEST_MISMATCH',
      withOptions(withBundle(the, { content: { ...content, digest } }), { artifact: other }),
    );
  });

  test("a hint that names another of the policy's keys", () => {
    const hint = serializeBase64(keyFingerprint(keyOf('two').publicKey));
    const the = byKey('one', { keys: ['one', 'two'] });
    expectRejected('SIGNATURE_INVALID', withBundle(the, { material: { kind: 'publicKey', hint } }));
  });

  test('a key where the policy has only identities', () => {
    expectRejected('KEY_MISMATCH', byKey('one', { identities: [{ from: 'github:acme/app' }] }));
  });

  test('a rule that is met but for the key, beside one whose key it is', () => {
    const the = attested(
      PROVENANCE,
      {},
      { keys: ['two'], predicateTypes: [PROVENANCE] },
      { keys: ['one'], predicateTypes: ['spdxjson'] },
    );
    expect(verdictsOf(the)).toEqual(['rule0 KEY_MISMATCH', 'rule1 PREDICATE_TYPE_UNEXPECTED']);
  });
});

describe('what is stated', () => {
  const rule = (...predicate: object[]) => ({ keys: ['one'], predicateTypes: [PROVENANCE], predicate });
  const predicate: Json = {
    builder: { id: 'https://ci.example.com/runner' },
    list: ['a', { b: 2 }],
    'a/b': { '~': true },
    none: null,
    '': 0,
    text: '1',
  };

  test.each([
    [{ path: '/builder/id', equals: 'https://ci.example.com/runner' }],
    [{ path: '/builder/id', in: ['x', 'https://ci.example.com/runner'] }],
    [{ path: '/builder/id', glob: 'https://ci.example.com/*' }],
    [{ path: '/builder', exists: true }],
    [{ path: '/none', exists: true }],
    [{ path: '/missing', exists: false }],
    [{ path: '/builder/id/deeper', exists: false }],
    [{ path: '/list/0', equals: 'a' }],
    [{ path: '/list/1/b', equals: 2 }],
    [{ path: '/list/2', exists: false }],
    [{ path: '/a~1b/~0', equals: true }],
    [{ path: '/', equals: 0 }],
  ])('%j', (condition) => {
    expect(verify(attested(PROVENANCE, predicate, rule(condition))).rule).toBe('rule0');
  });

  test.each([
    ['another text', { path: '/builder/id', equals: 'https://ci.example.com/runner2' }],
    ['a text that goes on', { path: '/builder/id', glob: 'https://ci.example.com' }],
    ['none of the values', { path: '/builder/id', in: ['a', 'b'] }],
    ['a text for a number', { path: '/text', equals: 1 }],
    ['a number for a text', { path: '/list/1/b', equals: '2' }],
    ['a number for a boolean', { path: '/', equals: false }],
    ['an object for a text', { path: '/builder', glob: '**' }],
    ['a list for its element', { path: '/list', equals: 'a' }],
    ['null for a value', { path: '/none', equals: 'null' }],
    ['a missing field', { path: '/missing', equals: 'a' }],
    ['a missing field that has to be there', { path: '/missing', exists: true }],
    ['a field that must not be there', { path: '/builder', exists: false }],
    ['a member that every object inherits', { path: '/constructor', exists: true }],
    ["a list's length", { path: '/list/length', exists: true }],
    ['an index that is not canonical', { path: '/list/00', exists: true }],
    ['an index from the end', { path: '/list/-1', exists: true }],
    ['a character of a text', { path: '/text/0', exists: true }],
  ])('not %s', (_, condition) => {
    expect(verdictsOf(attested(PROVENANCE, predicate, rule(condition)))).toEqual(['rule0 PREDICATE_MISMATCH']);
  });

  test('all conditions, not any', () => {
    const met = { path: '/text', equals: '1' };
    const unmet = { path: '/text', equals: '2' };
    expect(verdictsOf(attested(PROVENANCE, predicate, rule(met, unmet)))).toEqual(['rule0 PREDICATE_MISMATCH']);
    expect(verify(attested(PROVENANCE, predicate, rule(met, met))).rule).toBe('rule0');
  });

  test('no predicate at all', () => {
    const the = attested(PROVENANCE, null, rule({ path: '/a', exists: true }));
    expect(verdictsOf(the)).toEqual(['rule0 PREDICATE_MISMATCH']);
  });

  test('another predicate type with the same fields', () => {
    const the = attested('https://example.com/other', predicate, rule({ path: '/text', equals: '1' }));
    expect(verdictsOf(the)).toEqual(['rule0 PREDICATE_TYPE_UNEXPECTED']);
  });

  test('a plain signature where an attestation is required', () => {
    expect(verdictsOf(byKey('one', { keys: ['one'], predicateTypes: [PROVENANCE] }))).toEqual([
      'rule0 PREDICATE_TYPE_UNEXPECTED',
    ]);
  });

  test('the message says what was found, in a bounded length', () => {
    const the = attested(PROVENANCE, { text: 'x'.repeat(10_000) }, rule({ path: '/text', equals: '1' }));
    const { message } = errorOf(() => verify(the));
    expect(message).toContain('/text is "xxx');
    expect(message.length).toBeLessThan(500);
  });
});

describe('rules by identity', () => {
  const signer = (certificate = workflowCertificate()): Signer => ({
    kind: 'certificate',
    key: certificate.publicKey,
    certificate,
  });
  const allowing = (...rules: object[]): string => requireRule(signer(), undefined, policyOf(...rules)).rule;
  const GITHUB = { from: 'github:acme/app' };

  test('claims of the rule count for each of its identities', () => {
    expect(allowing({ identities: [GITHUB], claims: { 'runner-environment': 'github-hosted' } })).toBe('rule0');
    const other = {
      identities: [{ from: 'github:acme/other' }, GITHUB],
      claims: { 'runner-environment': 'self-hosted' },
    };
    expect(() => allowing(other)).toThrow(expect.objectContaining({ code: 'POLICY_MISMATCH' }));
  });

  test('claims by a short name', () => {
    const identity = { issuer: GITHUB_ACTIONS, subjectAlternativeName: { glob: '**' } };
    expect(allowing({ identities: [identity], claims: { 'source-repository': 'https://github.com/acme/app' } })).toBe(
      'rule0',
    );
    const evil = { identities: [identity], claims: { 'source-repository': 'https://github.com/acme/ap' } };
    expect(() => allowing(evil)).toThrow(expect.objectContaining({ code: 'POLICY_MISMATCH' }));
  });

  test('every rule says why it does not allow it', () => {
    const policy = policyOf(
      { identities: [{ from: 'google:a@example.com' }] },
      { identities: [{ from: 'github:acme/other' }] },
      { identities: [{ issuer: 'https://issuer.example.com', subjectAlternativeName: { glob: '**' } }] },
      { keys: ['one'] },
      { identities: [GITHUB], predicateTypes: [PROVENANCE] },
    );
    const error = errorOf(() => requireRule(signer(), undefined, policy));
    if (!(error instanceof PolicyMismatchError)) throw error;
    expect(error.verdicts.map(({ code }) => code as string)).toEqual([
      'IDENTITY_MISMATCH',
      'CLAIM_MISMATCH',
      'ISSUER_MISMATCH',
      'KEY_MISMATCH',
      'PREDICATE_TYPE_UNEXPECTED',
    ]);
    for (const { rule } of error.verdicts) expect(error.message).toContain(`rule ${rule}: `);
  });

  test('identity of one rule, statement of another', () => {
    const rules: readonly Rule[] = policyOf(
      { identities: [GITHUB], predicateTypes: ['spdxjson'] },
      { identities: [{ from: 'github:acme/other' }], predicateTypes: [PROVENANCE] },
    ).rules;
    const provenance = {
      type: 'https://in-toto.io/Statement/v1',
      subjects: [],
      predicateType: PROVENANCE,
      predicate: {},
    } as const;
    expect(() => requireRule(signer(), provenance, { rules })).toThrow(
      expect.objectContaining({ code: 'POLICY_MISMATCH' }),
    );
  });
});

// A policy with rules must not make less of a bundle's own verification: the same bundles, with one flaw each.
describe.if(SAMPLES.length > 0)('a whole bundle under rules', () => {
  const rules = policyOf(
    { identities: [{ from: 'github:sigstore-conformance/extremely-dangerous-public-oidc-beacon' }] },
    { keys: ['one'] },
  );
  const the = (name: string): Case => withOptions(caseOf(name), { policy: rules });

  test('is allowed', () => {
    expect(verify(the('happy-path-v0.3')).rule).toBe('rule0');
    expect(verify(the('rekor2-dsse-happy-path')).rule).toBe('rule0');
  });

  test('needs its log entry', () => {
    expectRejected('LOG_ENTRY_MISSING', withBundle(the('rekor2-happy-path'), { tlogEntries: [] }));
    expectRejected('TIME_MISSING', withBundle(the('happy-path-v0.3'), { tlogEntries: [] }));
  });

  test('needs its artifact', () => {
    expectRejected(
      'DIGEST_MISMATCH',
      withOptions(the('happy-path-v0.3'), { artifact: { digests: { sha256: sha256(ARTIFACT) } } }),
    );
  });

  test('is refused with --type of another kind', () => {
    expectRejected(
      'PREDICATE_TYPE_UNEXPECTED',
      withOptions(the('rekor2-dsse-happy-path'), { predicateType: 'https://spdx.dev/Document' }),
    );
  });

  test('is refused where no rule allows it', () => {
    const policy = policyOf({ identities: [{ from: 'github:sigstore-conformance/extremely' }] });
    expectRejected('POLICY_MISMATCH', withOptions(caseOf('happy-path-v0.3'), { policy }));
  });

  test('all cases of the conformance suite come out the same', () => {
    for (const sample of SAMPLES) {
      const own = caseOf.bind(undefined, sample.name);
      const identities = (): RulePolicy | undefined => {
        const policy = sample.policy();
        if (!('identities' in policy)) return undefined;
        return { rules: [{ name: 'own', ...policy, keys: [], predicateTypes: [], conditions: [] }] };
      };
      let verdict = true;
      try {
        const policy = identities();
        if (policy === undefined) continue;
        verify(withOptions(own(), { policy }));
      } catch {
        verdict = false;
      }
      expect(`${sample.name} ${verdict}`).toBe(`${sample.name} ${sample.good}`);
    }
  });
});
