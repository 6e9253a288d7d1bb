import { describe, expect, test } from 'bun:test';
import { HallmarkError } from '../core/errors.ts';
import type { IdentityRules } from './issuers.ts';
import { type Principal, requirePrincipal } from './principal.ts';
import type { VerifiedToken } from './token.ts';

const URL_ = 'https://issuer.example';

function principal(rules: IdentityRules, claims: VerifiedToken['claims'], tokenSubject = 'subject'): Principal {
  return requirePrincipal({ issuer: { url: URL_, audience: 'sigstore', ...rules }, tokenSubject, claims });
}
function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof HallmarkError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

const EMAIL: IdentityRules = { type: 'email', emailVerification: 'required' };
const GITLAB: IdentityRules = { type: 'gitlab-pipeline', serverUrl: 'https://gitlab.example' };

describe('email', () => {
  for (const email_verified of [true, 'true', 'True'])
    test(`verified: ${JSON.stringify(email_verified)}`, () => {
      expect(principal(EMAIL, { email: 'a@b.c', email_verified })).toEqual({
        subjectAlternativeName: { kind: 'email', value: 'a@b.c' },
        issuer: URL_,
        tokenSubject: 'subject',
        claims: {},
        possessionMessages: ['a@b.c', 'subject'],
      });
    });
  for (const email_verified of [false, 'false', 'TRUE', 1, null, [true]])
    test(`not verified: ${JSON.stringify(email_verified)}`, () => {
      expect(refusal(() => principal(EMAIL, { email: 'a@b.c', email_verified }))).toContain(
        'email_verified is not true',
      );
    });
  test('unverified where the issuer is configured so', () => {
    const rules: IdentityRules = { type: 'email', emailVerification: 'skipped' };
    expect(principal(rules, { email: 'a@b.c' }).subjectAlternativeName.value).toBe('a@b.c');
  });
  for (const email of [
    'a',
    '@b',
    'a@',
    'a b@c',
    'a@b\0',
    'a@b\n',
    'ä@b.c',
    'a@b..c',
    '"a"@b.c',
    `${'a'.repeat(255)}@b.c`,
  ])
    test(`not an address: ${JSON.stringify(email.slice(0, 10))}`, () => {
      expect(refusal(() => principal(EMAIL, { email, email_verified: true }))).toContain('not an email address');
    });
  test('the issuer behind a federating one', () => {
    const rules: IdentityRules = { ...EMAIL, issuerClaim: ['federated_claims', 'connector_id'] };
    const claims = { email: 'a@b.c', email_verified: true };
    expect(principal(rules, { ...claims, federated_claims: { connector_id: 'https://real.example' } }).issuer).toBe(
      'https://real.example',
    );
    for (const federated_claims of [undefined, null, [], {}, { connector_id: 1 }])
      expect(
        refusal(() => principal(rules, { ...claims, ...(federated_claims !== undefined && { federated_claims }) })),
      ).toContain('is missing');
  });
});

describe('uri', () => {
  const rules: IdentityRules = { type: 'uri', subjectDomain: 'https://example.com' };
  test('under the domain', () => {
    expect(principal(rules, {}, 'https://example.com/users/1').subjectAlternativeName).toEqual({
      kind: 'uri',
      value: 'https://example.com/users/1',
    });
  });
  for (const subject of [
    'https://evil.example/',
    'http://example.com/',
    'https://example.com.evil.example/',
    'https://example.com@evil.example/',
    'https://evil.example\\@example.com/',
    'https://EXAMPLE.com/',
    'https://example.com/ x',
    'https://example.com/\n',
    'a@example.com',
  ])
    test(`refused: ${JSON.stringify(subject)}`, () => {
      expect(refusal(() => principal(rules, {}, subject))).toStartWith('IDENTITY_TOKEN_INVALID');
    });
});

describe('username', () => {
  const rules: IdentityRules = { type: 'username', subjectDomain: 'example.com' };
  test('joined with its domain', () => {
    expect(principal(rules, {}, 'ada').subjectAlternativeName).toEqual({ kind: 'otherName', value: 'ada!example.com' });
  });
  for (const subject of ['a!b', 'a@b.c', 'a\0b', 'a\nb', '\ud800'])
    test(`refused: ${JSON.stringify(subject)}`, () => {
      expect(refusal(() => principal(rules, {}, subject))).toStartWith('IDENTITY_TOKEN_INVALID');
    });
});

describe('spiffe', () => {
  const rules: IdentityRules = { type: 'spiffe', trustDomain: 'prod.example' };
  test('in the trust domain', () => {
    expect(principal(rules, {}, 'spiffe://prod.example/ns/a/sa/b').subjectAlternativeName.value).toBe(
      'spiffe://prod.example/ns/a/sa/b',
    );
  });
  for (const subject of [
    'spiffe://test.example/a',
    'spiffe://prod.example.evil/a',
    'spiffe://PROD.example/a',
    'spiffe://prod.example/../a',
    'spiffe://prod.example//a',
    'spiffe://prod.example/a/',
    'spiffe://prod.example:1/a',
    'https://prod.example/a',
  ])
    test(`refused: ${subject}`, () => {
      expect(refusal(() => principal(rules, {}, subject))).toStartWith('IDENTITY_TOKEN_INVALID');
    });
});

describe('kubernetes', () => {
  const account = (namespace: string, name: string) => ({ 'kubernetes.io': { namespace, serviceaccount: { name } } });
  test('service account', () => {
    expect(principal({ type: 'kubernetes' }, account('default', 'builder')).subjectAlternativeName.value).toBe(
      'https://kubernetes.io/namespaces/default/serviceaccounts/builder',
    );
  });
  test('refused: names that change the path, or none', () => {
    for (const claims of [account('a/b', 'c'), account('..', 'c'), account('a', ''), { 'kubernetes.io': null }, {}])
      expect(refusal(() => principal({ type: 'kubernetes' }, claims))).toContain('service account');
  });
});

describe('gitlab-pipeline', () => {
  const claims = {
    project_path: 'group/project',
    pipeline_source: 'push',
    pipeline_id: '1',
    ci_config_ref_uri: 'gitlab.example/group/project//.gitlab-ci.yml@refs/heads/main',
    ci_config_sha: 'c'.repeat(40),
    job_id: '2',
    ref: 'main',
    ref_type: 'branch',
    sha: 's'.repeat(40),
    namespace_path: 'group',
    namespace_id: '3',
    project_id: '4',
    runner_environment: 'gitlab-hosted',
    runner_id: 5,
    project_visibility: 'public',
  };
  test('pipeline', () => {
    const found = principal(GITLAB, claims, 'project_path:group/project:ref_type:branch:ref:main');
    const uri = 'https://gitlab.example/group/project//.gitlab-ci.yml@refs/heads/main';
    expect(found.subjectAlternativeName).toEqual({ kind: 'uri', value: uri });
    expect(found.claims).toEqual({
      buildSignerUri: uri,
      buildSignerDigest: claims.ci_config_sha,
      runnerEnvironment: 'gitlab-hosted',
      sourceRepositoryUri: 'https://gitlab.example/group/project',
      sourceRepositoryDigest: claims.sha,
      sourceRepositoryRef: 'refs/heads/main',
      sourceRepositoryIdentifier: '4',
      sourceRepositoryOwnerUri: 'https://gitlab.example/group',
      sourceRepositoryOwnerIdentifier: '3',
      buildConfigUri: uri,
      buildConfigDigest: claims.ci_config_sha,
      buildTrigger: 'push',
      runInvocationUri: 'https://gitlab.example/group/project/-/jobs/2',
      sourceRepositoryVisibilityAtSigning: 'public',
    });
  });
  test('tag', () => {
    expect(principal(GITLAB, { ...claims, ref_type: 'tag', ref: 'v1' }).claims.sourceRepositoryRef).toBe(
      'refs/tags/v1',
    );
  });
  test('refused: other kind of ref', () => {
    expect(refusal(() => principal(GITLAB, { ...claims, ref_type: 'toString' }))).toContain('ref_type');
  });
  for (const name of ['project_path', 'runner_id', 'sha'])
    test(`refused: without ${name}`, () => {
      for (const value of [undefined, null, '', {}])
        expect(refusal(() => principal(GITLAB, { ...claims, [name]: value } as VerifiedToken['claims']))).toContain(
          `claim ${name}`,
        );
    });
  test('a name cannot end the path', () => {
    const found = principal(GITLAB, { ...claims, ci_config_ref_uri: 'gitlab.example/g/p//a?b#c d%@refs/heads/ü' });
    expect(found.subjectAlternativeName.value).toBe('https://gitlab.example/g/p//a%3Fb%23c%20d%25@refs/heads/%C3%BC');
  });
});

describe('buildkite-job', () => {
  const rules: IdentityRules = { type: 'buildkite-job', serverUrl: 'https://buildkite.com' };
  test('pipeline, with the claims that its token has', () => {
    const found = principal(rules, {
      organization_slug: 'o',
      pipeline_slug: 'p',
      build_number: 7,
      job_id: 'j',
      build_commit: 'c',
    });
    expect(found.subjectAlternativeName.value).toBe('https://buildkite.com/o/p');
    expect(found.claims).toEqual({
      sourceRepositoryDigest: 'c',
      runInvocationUri: 'https://buildkite.com/o/p/builds/7#j',
    });
  });
});

test('the type decides which proof comes first, and both are taken', () => {
  const claims = { email: 'a@b.c', email_verified: true };
  expect(principal(EMAIL, claims).possessionMessages).toEqual(['a@b.c', 'subject']);
  const username: IdentityRules = { type: 'username', subjectDomain: 'example.com' };
  expect(principal(username, claims).possessionMessages).toEqual(['subject', 'a@b.c']);
  expect(principal(username, {}).possessionMessages).toEqual(['subject']);
});

describe('a lone surrogate, which no certificate can carry, is refused', () => {
  const username: IdentityRules = { type: 'username', subjectDomain: 'example.com' };
  const federated: IdentityRules = { ...EMAIL, issuerClaim: ['issuer'] };
  const job = { organization_slug: 'o', pipeline_slug: 'p' };
  const buildkite: IdentityRules = { type: 'buildkite-job', serverUrl: 'https://buildkite.com' };
  const verified = { email_verified: true };
  const cases: [string, IdentityRules, VerifiedToken['claims']][] = [
    ['email, as the name', EMAIL, { ...verified, email: 'a\ud800@b.c' }],
    ['email, beside another name', username, { email: 'a\ud800@b.c' }],
    ['issuer behind a federating one', federated, { ...verified, email: 'a@b.c', issuer: 'https://a\udc00' }],
    ['part of the name of a CI job', buildkite, { ...job, pipeline_slug: 'p\ud800' }],
    ['claim of a CI job that may be absent', buildkite, { ...job, build_source: '\ud800' }],
  ];
  for (const [name, rules, claims] of cases)
    test(name, () => {
      expect(refusal(() => principal(rules, claims))).toStartWith('IDENTITY_TOKEN_INVALID');
    });
});
