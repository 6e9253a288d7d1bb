import { describe, expect, test } from 'bun:test';
import { errorOf } from '../testing.ts';
import type { Certificate } from '../x509/certificate.ts';
import { type Identity, type IdentityMismatchError, requireIdentity } from './identity.ts';
import { parsePreset, presetOf } from './presets.ts';
import { certificateOf, GITHUB_ACTIONS, oldWorkflowCertificate, workflowCertificate } from './testing.ts';

const accept = (preset: string, certificate: Certificate): Identity =>
  requireIdentity(certificate, { identities: parsePreset(preset) });
const rejection = (preset: string, certificate: Certificate): string => errorOf(() => accept(preset, certificate)).code;

describe('github:OWNER/REPO', () => {
  test.each([
    'github:acme/app',
    'github:ACME/App',
    'github:acme/app/release.yml',
    'github:Acme/APP/.github/workflows/release.yml',
    'github:acme/app@v1.0.0',
    'github:acme/app@v1.*',
    'github:acme/app@refs/tags/v1.0.0',
    'github:acme/app/release.yml@refs/tags/**',
  ])('%s', (preset) => {
    expect(accept(preset, workflowCertificate()).issuer).toBe(GITHUB_ACTIONS);
  });

  test('a workflow of another repository that signs within this one', () => {
    const signer = 'https://github.com/builders/shared/.github/workflows/build.yml@refs/tags/v9';
    expect(accept('github:acme/app/release.yml@v1.0.0', workflowCertificate({ signer })).subjectAlternativeName).toBe(
      signer,
    );
    expect(rejection('github:builders/shared', workflowCertificate({ signer }))).toBe('CLAIM_MISMATCH');
  });

  test('a tag with @ in it', () => {
    const certificate = workflowCertificate({ ref: 'refs/tags/@acme/app@1.0.0' });
    expect(accept('github:acme/app@@acme/app@1.0.0', certificate).issuer).toBe(GITHUB_ACTIONS);
  });

  test.each([
    ['a repository whose name goes on', { repository: 'acme/app-evil' }],
    ['a repository whose name goes on after a dot', { repository: 'acme/app.git' }],
    ['a repository whose name ends the same', { repository: 'acme/my-app' }],
    ['an owner whose name goes on', { repository: 'acme-evil/app' }],
    ['an owner whose name ends the same', { repository: 'notacme/app' }],
    ['another owner with a repository of that name', { repository: 'evil/app' }],
    ['a dot that is another character', { repository: 'acmeXapp/app' }],
    ['the repository deeper in the path', { claims: { sourceRepositoryUri: 'https://github.com/evil/acme/app' } }],
    ['another host', { claims: { sourceRepositoryUri: 'https://github.com.evil.test/acme/app' } }],
    ['another host before', { claims: { sourceRepositoryUri: 'https://evil.test/https://github.com/acme/app' } }],
    ['a line break after', { claims: { sourceRepositoryUri: 'https://github.com/acme/app\n' } }],
    ['a letter that only looks the same', { claims: { sourceRepositoryUri: 'https://github.com/аcme/app' } }],
    ['no repository at all', { claims: { sourceRepositoryUri: '', githubWorkflowRepository: '' } }],
    [
      'no new claim, and the old one of another',
      { claims: { sourceRepositoryUri: '', githubWorkflowRepository: 'evil/app' } },
    ],
    [
      'the new claim of another, the old one of this',
      { claims: { sourceRepositoryUri: 'https://github.com/evil/app' } },
    ],
  ])('not %s', (_, run) => {
    expect(rejection('github:acme/app', workflowCertificate(run))).toBe('CLAIM_MISMATCH');
  });

  test.each([
    ['another workflow', 'github:acme/app/release.yml', { file: 'test.yml' }],
    ['a workflow whose name goes on', 'github:acme/app/release.yml', { file: 'release.yml.yml' }],
    ['a workflow whose name ends the same', 'github:acme/app/release.yml', { file: 'pre-release.yml' }],
    ['a workflow in another case', 'github:acme/app/release.yml', { file: 'Release.yml' }],
    [
      'the same workflow of another repository',
      'github:acme/app/release.yml',
      { claims: { buildConfigUri: 'https://github.com/evil/app/.github/workflows/release.yml@refs/tags/v1.0.0' } },
    ],
    ['no word on the workflow', 'github:acme/app/release.yml', { claims: { buildConfigUri: '' } }],
    ['a branch called as the tag', 'github:acme/app@v1.0.0', { ref: 'refs/heads/v1.0.0' }],
    ['a tag that goes on', 'github:acme/app@v1.0', {}],
    ['a tag in another case', 'github:acme/app@V1.0.0', {}],
    ['a ref in another folder', 'github:acme/app@v1.*', { ref: 'refs/tags/v1.0/evil' }],
  ])('not %s', (_, preset, run) => {
    expect(rejection(preset, workflowCertificate(run))).toBe('CLAIM_MISMATCH');
  });

  test('not another issuer with the same claims', () => {
    const issuer = `${GITHUB_ACTIONS}/evil-enterprise`;
    expect(rejection('github:acme/app', workflowCertificate({ issuer }))).toBe('ISSUER_MISMATCH');
  });

  test('not an email address', () => {
    const certificate = certificateOf('email', 'acme@example.com', { issuer: GITHUB_ACTIONS });
    expect(rejection('github:acme/app', certificate)).toBe('IDENTITY_MISMATCH');
  });

  test('certificates from before the newer claims', () => {
    const certificate = oldWorkflowCertificate('acme/app', 'release.yml', 'refs/tags/v1.0.0');
    for (const preset of ['github:acme/app', 'github:Acme/App/release.yml@v1.0.0']) {
      expect(accept(preset, certificate).issuer).toBe(GITHUB_ACTIONS);
    }
    for (const preset of ['github:acme/ap', 'github:acme/app@v1', 'github:evil/app', 'github:acme/app/release2.yml']) {
      expect(['CLAIM_MISMATCH', 'IDENTITY_MISMATCH']).toContain(rejection(preset, certificate));
    }
    const evil = oldWorkflowCertificate('acme/app-evil', 'release.yml', 'refs/tags/v1.0.0');
    expect(rejection('github:acme/app', evil)).toBe('CLAIM_MISMATCH');
  });

  test('says which claim it was', () => {
    expect(
      errorOf(() => accept('github:acme/app', workflowCertificate({ repository: 'acme/app-evil' }))).message,
    ).toEndWith('but source-repository-uri is https://github.com/acme/app-evil, not https://github.com/acme/app');
  });
});

describe('gitlab:GROUP/PROJECT', () => {
  const certificate = (project: string, ref = 'refs/heads/main', issuer = 'https://gitlab.com'): Certificate =>
    certificateOf('uri', `https://gitlab.com/${project}//.gitlab-ci.yml@${ref}`, {
      issuerV2: issuer,
      sourceRepositoryUri: `https://gitlab.com/${project}`,
      sourceRepositoryRef: ref,
      buildConfigUri: `https://gitlab.com/${project}//.gitlab-ci.yml@${ref}`,
    });

  test.each([
    ['gitlab:acme/app', 'acme/app'],
    ['gitlab:acme/tools/app', 'acme/tools/app'],
    ['gitlab:acme/app//.gitlab-ci.yml', 'acme/app'],
    ['gitlab:acme/app//.gitlab-ci.yml@refs/heads/main', 'acme/app'],
  ])('%s', (preset, project) => {
    expect(accept(preset, certificate(project)).issuer).toBe('https://gitlab.com');
  });

  test.each([
    ['a project whose name goes on', 'gitlab:acme/app', 'acme/app-evil'],
    ['a project below', 'gitlab:acme/app', 'acme/app/evil'],
    ['a group whose name ends the same', 'gitlab:acme/app', 'notacme/app'],
    ['the group deeper in the path', 'gitlab:acme/app', 'evil/acme/app'],
    ['another CI file', 'gitlab:acme/app//ci.yml', 'acme/app'],
    ['a branch for a tag', 'gitlab:acme/app@main', 'acme/app'],
  ])('not %s', (_, preset, project) => {
    expect(rejection(preset, certificate(project))).toBe('CLAIM_MISMATCH');
  });

  test('not another GitLab', () => {
    expect(rejection('gitlab:acme/app', certificate('acme/app', 'refs/heads/main', 'https://gitlab.example.com'))).toBe(
      'ISSUER_MISMATCH',
    );
  });
});

describe('email:NAME@DOMAIN and google:NAME@DOMAIN', () => {
  const certificate = (name: string, issuer: string): Certificate => certificateOf('email', name, { issuerV2: issuer });
  const GOOGLE = 'https://accounts.google.com';

  test('the address, vouched for by whom public-good lets vouch', () => {
    for (const issuer of [GOOGLE, 'https://github.com/login/oauth', 'https://login.microsoftonline.com']) {
      expect(accept('email:a@example.com', certificate('a@example.com', issuer)).issuer).toBe(issuer);
    }
    expect(accept('google:a@example.com', certificate('a@example.com', GOOGLE)).issuer).toBe(GOOGLE);
  });

  test('not an address vouched for by anybody else', () => {
    const here = certificate('a@example.com', 'http://127.0.0.1:8080');
    expect(rejection('email:a@example.com', here)).toBe('ISSUER_MISMATCH');
    const github = certificate('a@example.com', 'https://github.com/login/oauth');
    expect(rejection('google:a@example.com', github)).toBe('ISSUER_MISMATCH');
  });

  test.each(['a@example.com.evil.test', 'ba@example.com', 'A@example.com', 'a@exampleXcom'])('not %s', (name) => {
    expect(rejection('email:a@example.com', certificate(name, GOOGLE))).toBe('IDENTITY_MISMATCH');
    expect(rejection('google:a@example.com', certificate(name, GOOGLE))).toBe('IDENTITY_MISMATCH');
  });
});

test.each([
  'github',
  'github:',
  'github:acme',
  'github:acme/',
  'github:/app',
  'github:acme/..',
  'github:acme/app/',
  'github:acme/*',
  'github:*/app',
  'github:acme/app/release',
  'github:acme/app/other/release.yml',
  'github:acme/app/*.yml',
  'github:acme/app@',
  'github:acme/app@refs/tags/a b',
  'github:acme/app@../v1',
  'github:https://github.com/acme/app',
  'gitlab:acme',
  'gitlab:acme/app/',
  'gitlab:acme/*',
  'email:',
  'email:example.com',
  'email:*@example.com',
  'email:a@b@example.com',
  'google:a example.com',
  'Github:acme/app',
  'constructor:acme/app',
  'acme/app',
  '',
])('no preset: %j', (text) => {
  const error = errorOf(() => parsePreset(text));
  expect(error.code).toBe('POLICY_INVALID');
  expect(error.hint).toContain('github:OWNER/REPO');
});

describe('the preset that would accept a signer', () => {
  const suggested = (certificate: Certificate): string | undefined => {
    const error = errorOf(() => requireIdentity(certificate, { identities: [] })) as IdentityMismatchError;
    return presetOf(error.found[0] as Identity, error.claims);
  };

  test('accepts it', () => {
    for (const run of [
      {},
      { ref: 'refs/heads/main' },
      { signer: 'https://github.com/b/s/.github/workflows/x.yml@v1' },
    ]) {
      const certificate = workflowCertificate(run);
      expect(accept(suggested(certificate) as string, certificate).issuer).toBe(GITHUB_ACTIONS);
    }
    expect(suggested(workflowCertificate())).toBe('github:acme/app/release.yml@refs/tags/v1.0.0');
  });

  test('there is none for a workflow that nothing is known of', () => {
    expect(suggested(oldWorkflowCertificate('acme/app', 'release.yml', 'refs/tags/v1'))).toBeUndefined();
    const foreign = { buildConfigUri: 'https://github.com/evil/app/.github/workflows/x.yml@refs/heads/main' };
    expect(suggested(workflowCertificate({ claims: foreign }))).toBeUndefined();
  });
});
