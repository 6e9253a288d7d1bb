import { describe, expect, test } from 'bun:test';
import type { Json } from '../core/bytes/json.ts';
import { type Issuer, issuerTable, parseIssuers } from './issuers.ts';

function parse(...entries: Json[]): { issuers: Issuer[]; problems: string[] } {
  const problems: string[] = [];
  return { issuers: parseIssuers(entries, 'issuers', problems), problems };
}

describe('issuers that are accepted', () => {
  const cases: [entry: { [key: string]: Json }, issuer: Issuer][] = [
    [
      { url: 'https://accounts.example', type: 'email' },
      { url: 'https://accounts.example', audience: 'sigstore', type: 'email', emailVerification: 'required' },
    ],
    [
      {
        url: 'https://dex.example/auth',
        audience: 'me',
        type: 'email',
        issuerClaim: '$.federated_claims.connector_id',
        skipEmailVerification: true,
      },
      {
        url: 'https://dex.example/auth',
        audience: 'me',
        type: 'email',
        issuerClaim: ['federated_claims', 'connector_id'],
        emailVerification: 'skipped',
      },
    ],
    [
      { url: 'http://localhost:5556/dex', type: 'email', skipEmailVerification: false },
      { url: 'http://localhost:5556/dex', audience: 'sigstore', type: 'email', emailVerification: 'required' },
    ],
    [
      { url: 'https://accounts.example.com', type: 'uri', subjectDomain: 'https://users.example.com' },
      {
        url: 'https://accounts.example.com',
        audience: 'sigstore',
        type: 'uri',
        subjectDomain: 'https://users.example.com',
      },
    ],
    [
      { url: 'https://accounts.example.com', type: 'username', subjectDomain: 'example.com' },
      { url: 'https://accounts.example.com', audience: 'sigstore', type: 'username', subjectDomain: 'example.com' },
    ],
    [
      { url: 'https://spire.example', type: 'spiffe', trustDomain: 'prod.example' },
      { url: 'https://spire.example', audience: 'sigstore', type: 'spiffe', trustDomain: 'prod.example' },
    ],
    [
      { url: 'https://kubernetes.default.svc', type: 'kubernetes' },
      { url: 'https://kubernetes.default.svc', audience: 'sigstore', type: 'kubernetes' },
    ],
    [
      { url: 'https://token.actions.githubusercontent.com', type: 'github-workflow' },
      {
        url: 'https://token.actions.githubusercontent.com',
        audience: 'sigstore',
        type: 'github-workflow',
        serverUrl: 'https://github.com',
      },
    ],
    [
      { url: 'https://gitlab.example', type: 'gitlab-pipeline' },
      {
        url: 'https://gitlab.example',
        audience: 'sigstore',
        type: 'gitlab-pipeline',
        serverUrl: 'https://gitlab.example',
      },
    ],
    [
      { url: 'https://agent.buildkite.com', type: 'buildkite-job' },
      {
        url: 'https://agent.buildkite.com',
        audience: 'sigstore',
        type: 'buildkite-job',
        serverUrl: 'https://buildkite.com',
      },
    ],
  ];
  for (const [entry, issuer] of cases)
    test(`${entry['type']} at ${entry['url']}`, () => {
      expect(parse(entry)).toEqual({ issuers: [issuer], problems: [] });
    });
  test('are found by their exact URL only', () => {
    const table = issuerTable(parse({ url: 'https://a.example', type: 'email' }).issuers);
    expect([table.has('https://a.example'), table.has('https://a.example/'), table.has('https://A.example')]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe('issuers that are refused', () => {
  const EMAIL = { url: 'https://a.example', type: 'email' };
  const cases: [flaw: string, entry: Json, problem: string][] = [
    [
      'wildcard (GHSA-59jp-pj84-45mr)',
      { ...EMAIL, url: 'https://oidc.eks.*.amazonaws.com/id/*' },
      'issuers[0].url: wildcard',
    ],
    ['http to another computer', { ...EMAIL, url: 'http://a.example' }, 'issuers[0].url: expected https'],
    [
      'http to a name that begins like loopback',
      { ...EMAIL, url: 'http://localhost.evil.example' },
      'issuers[0].url: expected https',
    ],
    ['other scheme', { ...EMAIL, url: 'file:///etc/passwd' }, 'issuers[0].url: expected https'],
    ['user in the URL', { ...EMAIL, url: 'https://u:p@a.example' }, 'issuers[0].url: expected a URL without'],
    ['query in the URL', { ...EMAIL, url: 'https://a.example?x' }, 'issuers[0].url: expected a URL without'],
    ['no URL', { type: 'email' }, 'issuers[0].url: missing'],
    ['no type', { url: 'https://a.example' }, 'issuers[0].type: expected one of'],
    ['unknown type', { ...EMAIL, type: 'toString' }, 'issuers[0].type: expected one of'],
    ['unknown key', { ...EMAIL, clientId: 'x' }, 'issuers[0].clientId: unknown key'],
    ['key of another type', { ...EMAIL, trustDomain: 'x' }, 'issuers[0].trustDomain: unknown key'],
    ['empty audience', { ...EMAIL, audience: '' }, 'issuers[0].audience: expected'],
    ['flag as text', { ...EMAIL, skipEmailVerification: 'false' }, 'issuers[0].skipEmailVerification: expected'],
    ['claim path that is none', { ...EMAIL, issuerClaim: 'iss' }, 'issuers[0].issuerClaim: expected'],
    ['uri without its domain', { ...EMAIL, type: 'uri' }, 'issuers[0].subjectDomain: missing'],
    [
      'uri with a domain of somebody else',
      { ...EMAIL, type: 'uri', subjectDomain: 'https://b.test' },
      'issuers[0].subjectDomain: b.test',
    ],
    [
      'uri with another scheme',
      { ...EMAIL, type: 'uri', subjectDomain: 'http://a.example' },
      'issuers[0].subjectDomain: expected the scheme',
    ],
    [
      'user name with a domain of somebody else',
      { ...EMAIL, type: 'username', subjectDomain: 'b.test' },
      'issuers[0].subjectDomain: b.test',
    ],
    [
      'top-level domain alone',
      { url: 'https://a.example.com', type: 'username', subjectDomain: 'com' },
      'issuers[0].subjectDomain: com',
    ],
    ['trust domain in capitals', { ...EMAIL, type: 'spiffe', trustDomain: 'Prod' }, 'issuers[0].trustDomain: expected'],
    ['not an object', 'https://a.example', 'issuers[0]: expected an object'],
  ];
  for (const [flaw, entry, problem] of cases)
    test(flaw, () => {
      const { issuers, problems } = parse(entry);
      expect(issuers).toEqual([]);
      expect(problems).toHaveLength(1);
      expect(problems[0]).toStartWith(problem);
    });
  test('listed twice', () => {
    expect(parse(EMAIL, EMAIL).problems).toEqual(['issuers[1].url: issuer listed twice']);
  });
  test('no list', () => {
    const problems: string[] = [];
    for (const value of [undefined, null, {}, []]) parseIssuers(value, 'issuers', problems);
    expect(problems).toHaveLength(4);
  });
  test('every problem is told at once', () => {
    const { problems } = parse({ url: 'x', type: 'email', audience: 1, a: 1 }, EMAIL, { ...EMAIL, b: 1 });
    expect(problems).toEqual([
      'issuers[0].url: expected a URL',
      'issuers[0].audience: expected a string',
      'issuers[0].a: unknown key',
      'issuers[2].b: unknown key',
    ]);
  });
});
