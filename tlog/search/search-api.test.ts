import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { serializeBase64, serializeHex, serializeUtf8 } from '../../core/bytes/bytes.ts';
import { sha256 } from '../../core/crypto/hash.ts';
import { generateKey } from '../../core/crypto/private-key.ts';
import { keyFingerprint } from '../../core/crypto/public-key.ts';
import { serializeCertificatePem } from '../../core/x509/certificate.ts';
import { alternativeNamesExtension, extendedKeyUsageExtension, keyUsageExtension } from '../../core/x509/extensions.ts';
import { type FulcioClaims, serializeFulcioClaims } from '../../core/x509/fulcio.ts';
import type { AlternativeName } from '../../core/x509/names.ts';
import { type Holder, issue, issueAuthority } from '../../core/x509/testing.ts';
import { envelopeOf, hashedRekordV1, hashedRekordV2, jsonOf, openTestLog, type TestLog } from '../testing.ts';

const KEY = generateKey('p256');
const CA = issueAuthority('ca');
const COMMIT = '5e'.repeat(20);
const WORKFLOW = 'https://github.com/Acme/app/.github/workflows/release.yml@refs/heads/main';
const START = Date.parse('2026-03-01T12:00:00Z');
const hex = (text: string): string => serializeHex(sha256(serializeUtf8(text)));

function signer(name: string, identity: AlternativeName, claims: FulcioClaims): Holder {
  const extensions = [
    keyUsageExtension('digitalSignature'),
    extendedKeyUsageExtension('codeSigning'),
    alternativeNamesExtension(identity),
    ...serializeFulcioClaims(claims),
  ];
  return issue({ name, issuer: CA, extensions });
}

const ALICE = signer(
  'alice',
  { kind: 'email', value: 'Alice@Corp.Example.com' },
  {
    issuer: 'https://accounts.example.com',
    issuerV2: 'https://accounts.example.com',
  },
);
const BUILD = signer(
  'build',
  { kind: 'uri', value: WORKFLOW },
  {
    issuerV2: 'https://token.actions.githubusercontent.com',
    sourceRepositoryUri: 'https://github.com/Acme/app',
    sourceRepositoryDigest: COMMIT,
  },
);
const OLD_BUILD = signer(
  'old',
  { kind: 'uri', value: `${WORKFLOW}-old` },
  {
    issuer: 'https://token.actions.githubusercontent.com',
    githubWorkflowRepository: 'acme/app',
    githubWorkflowSha: COMMIT,
  },
);

const STATEMENT = JSON.stringify({
  _type: 'https://in-toto.io/Statement/v1',
  subject: [{ name: 'file', digest: { sha256: hex('subject') } }],
  predicateType: 'https://example.com/p',
});

interface Answer {
  entries: { log: string; logIndex: number; entryId?: string; integratedTime: string; [key: string]: unknown }[];
  nextCursor?: string;
  index: { behind: number; logs: { log: string; treeSize: number; indexed: number }[] };
}

let log: TestLog;
let now = START;

const certified = (text: string, { key, certificate }: Holder) =>
  hashedRekordV1(text, key, { publicKey: serializeCertificatePem(certificate) });

/** One entry in each second: v1 has an entry of its own at 0, then these are 1, 2 ... of their log. */
async function fill(): Promise<void> {
  const add = async (path: string, entry: Parameters<TestLog['post']>[1]): Promise<void> => {
    now += 1000;
    const response = await log.post(path, entry);
    if (response.status !== 201) throw new Error(await response.text());
  };
  await add('/api/v1/log/entries', hashedRekordV1('one', KEY));
  await add('/api/v2/log/entries', hashedRekordV2('one', KEY));
  await add('/api/v1/log/entries', certified('two', ALICE));
  await add('/api/v1/log/entries', certified('three', BUILD));
  await add('/api/v1/log/entries', certified('four', OLD_BUILD));
  await add('/api/v1/log/entries', hashedRekordV1(COMMIT, KEY));
  const envelope = envelopeOf(STATEMENT, [BUILD.key], 'application/vnd.in-toto+json');
  await add('/api/v2/log/entries', {
    dsseRequestV002: {
      envelope,
      verifiers: [
        {
          x509Certificate: { rawBytes: serializeBase64(BUILD.certificate.der) },
          keyDetails: 'PKIX_ECDSA_P256_SHA_256',
        },
      ],
    },
  });
  await add('/api/v1/log/entries', {
    apiVersion: '0.0.1',
    kind: 'dsse',
    spec: {
      proposedContent: {
        envelope: JSON.stringify(envelope),
        verifiers: [serializeBase64(serializeUtf8(serializeCertificatePem(BUILD.certificate)))],
      },
    },
  });
}

beforeAll(async () => {
  log = await openTestLog({ clock: () => new Date(now) });
  await fill();
});
afterAll(() => log.close());

const ask = async (query: Record<string, string>): Promise<Answer> => {
  const response = await log.get(`/api/search?${new URLSearchParams(query)}`);
  expect(response.status).toBe(200);
  return jsonOf<Answer>(response);
};
const find = async (query: Record<string, string>): Promise<string[]> =>
  (await ask(query)).entries.map((entry) => `${entry.log} ${entry.logIndex}`);

describe('GET /api/search', () => {
  test.each([
    ['the digest of an artifact, in both logs', { digest: `sha256:${hex('one')}` }, ['v2 0', 'v1 1']],
    ['a digest without its algorithm, in capitals', { digest: hex('one').toUpperCase() }, ['v2 0', 'v1 1']],
    ['the digest of a statement subject', { digest: `sha256:${hex('subject')}` }, ['v1 6', 'v2 1']],
    ['the digest of a payload', { digest: `sha256:${hex(STATEMENT)}` }, ['v1 6', 'v2 1']],
    ['an identity in another case', { identity: 'alice@corp.example.com' }, ['v1 2']],
    ['an identity, whole', { identity: WORKFLOW }, ['v1 6', 'v2 1', 'v1 3']],
    ['how an identity begins', { identityPrefix: 'https://github.com/acme/' }, ['v1 6', 'v2 1', 'v1 4', 'v1 3']],
    ['how an email address begins', { identityPrefix: 'al' }, ['v1 2']],
    ['a domain', { domain: 'corp.example.com' }, ['v1 2']],
    ['the domain above it', { domain: '@Example.com' }, ['v1 2']],
    ['the host of a URI', { domain: 'github.com' }, ['v1 6', 'v2 1', 'v1 4', 'v1 3']],
    ['an issuer', { issuer: 'https://accounts.example.com' }, ['v1 2']],
    ['a key', { key: serializeHex(keyFingerprint(KEY.publicKey)) }, ['v1 5', 'v2 0', 'v1 1']],
    ['a certificate by its key', { key: `sha256:${serializeHex(keyFingerprint(ALICE.key.publicKey))}` }, ['v1 2']],
    ['a serial number', { serial: `0x${serializeHex(ALICE.certificate.serialNumber)}` }, ['v1 2']],
    ['a repository', { repository: 'https://github.com/acme/app' }, ['v1 6', 'v2 1', 'v1 4', 'v1 3']],
    ['a repository by its short name', { repository: 'acme/app' }, ['v1 6', 'v2 1', 'v1 4', 'v1 3']],
    ['a commit that was built, or signed itself', { commit: COMMIT }, ['v1 6', 'v2 1', 'v1 5', 'v1 4', 'v1 3']],
    ['two things at once', { repository: 'acme/app', digest: hex('three') }, ['v1 3']],
    ['two things that no entry has', { identity: WORKFLOW, digest: hex('one') }, []],
    ['one log', { digest: hex('one'), log: 'v2' }, ['v2 0']],
    ['a time on', { since: '2026-03-01T12:00:08Z' }, ['v1 6']],
    [
      'a time between, in another zone',
      { since: '2026-03-01T13:00:01+01:00', until: '2026-03-01T12:00:03Z' },
      ['v2 0', 'v1 1'],
    ],
    ['everything', { until: '2026-03-01T12:00:03Z' }, ['v2 0', 'v1 1', 'v1 0']],
    ['nothing that is there', { identity: 'nobody@example.com' }, []],
    ['the beginning of nothing', { identityPrefix: 'x' }, []],
  ] as [string, Record<string, string>, string[]][])('finds by %s', async (_, query, expected) => {
    expect(await find(query)).toEqual(expected);
  });

  test('tells of an entry what its body tells', async () => {
    const { entries, index } = await ask({ identity: 'alice@corp.example.com' });
    const leafHash = entries[0]?.['leafHash'];
    expect(leafHash).toMatch(/^[0-9a-f]{64}$/);
    expect(entries).toEqual([
      {
        log: 'v1',
        logIndex: 2,
        leafHash,
        entryId: `2d2d2d2d2d2d2d2d${leafHash}`,
        integratedTime: '2026-03-01T12:00:03Z',
        kind: 'hashedrekord',
        version: '0.0.1',
        digests: [{ of: 'artifact', algorithm: 'sha256', value: hex('two') }],
        signers: [
          {
            key: serializeHex(keyFingerprint(ALICE.key.publicKey)),
            serial: serializeHex(ALICE.certificate.serialNumber).replace(/^0+/, ''),
            identities: [{ kind: 'email', value: 'Alice@Corp.Example.com' }],
            issuer: 'https://accounts.example.com',
          },
        ],
      },
    ]);
    expect(index).toEqual({
      behind: 0,
      logs: [
        { log: 'v1', treeSize: 7, indexed: 7 },
        { log: 'v2', treeSize: 2, indexed: 2 },
      ],
    });
    const [built] = (await ask({ commit: COMMIT, log: 'v2' })).entries;
    expect(built?.['entryId']).toBeUndefined();
    expect(built?.['signers']).toEqual([
      {
        key: serializeHex(keyFingerprint(BUILD.key.publicKey)),
        serial: serializeHex(BUILD.certificate.serialNumber).replace(/^0+/, ''),
        identities: [{ kind: 'uri', value: WORKFLOW }],
        issuer: 'https://token.actions.githubusercontent.com',
        repository: 'https://github.com/Acme/app',
        commit: COMMIT,
      },
    ]);
  });

  test('pages by a cursor that stays where it is when entries are added', async () => {
    const paged = await openTestLog({ clock: () => new Date(START) });
    for (let i = 0; i < 7; i++) {
      await paged.post('/api/v1/log/entries', hashedRekordV1(`a ${i}`, KEY));
      await paged.post('/api/v2/log/entries', hashedRekordV2(`a ${i}`, KEY));
    }
    const all: string[] = [];
    const key = serializeHex(keyFingerprint(KEY.publicKey));
    let cursor: string | undefined;
    let pages = 0;
    do {
      const query = new URLSearchParams({ key, limit: '3', ...(cursor === undefined ? {} : { cursor }) });
      const page = await jsonOf<Answer>(await paged.get(`/api/search?${query}`));
      all.push(...page.entries.map((entry) => `${entry.log} ${entry.logIndex}`));
      cursor = page.nextCursor;
      pages++;
      await paged.post('/api/v2/log/entries', hashedRekordV2(`b ${pages}`, KEY));
    } while (cursor !== undefined);
    expect(pages).toBe(5);
    expect(all.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6].flatMap((i) => [`v1 ${i + 1}`, `v2 ${i}`]).sort());
    expect(new Set(all).size).toBe(14);
    await paged.close();
  });

  test.each([
    ['an unknown parameter', 'color=blue'],
    ['a parameter twice', 'digest=ab&digest=ab'],
    ['an empty value', 'identity='],
    ['a value that is too long', `identity=${'a'.repeat(1025)}`],
    ['a digest of no length that is known', 'digest=abcd'],
    ['a digest of another length than its algorithm', `digest=sha512:${'a'.repeat(64)}`],
    ['a digest that is not hexadecimal', `digest=sha256:${'g'.repeat(64)}`],
    ['half a key fingerprint', `key=${'a'.repeat(32)}`],
    ['a serial number that is none', 'serial=xyz'],
    ['a domain with a path', 'domain=example.com/x'],
    ['an abbreviated commit', 'commit=abcdef1'],
    ['a time without zone', 'since=2026-03-01T12:00:00'],
    ['a time that does not exist', 'until=2026-13-01T12:00:00Z'],
    ['a day that its month does not have', 'until=2026-02-30T12:00:00Z'],
    ['the leap day of another year', 'since=2027-02-29T12:00:00Z'],
    ['a domain that is none in Unicode', 'domain=%E2%98%83..example'],
    ['a limit of zero', 'limit=0'],
    ['a limit above the highest', 'limit=101'],
    ['a limit that is no number', 'limit=1e1'],
    ['a log that there is not', 'log=v3'],
    ['a cursor of nobody', 'cursor=abc'],
    ['a cursor with one log twice', 'cursor=v1.1~v1.2'],
    ['a cursor beyond every log', 'cursor=v1.99999999999999999'],
    ['a cursor below every log', 'cursor=v1.-1'],
  ])('refuses %s', async (_, query) => {
    const response = await log.get(`/api/search?${query}`);
    expect(response.status).toBe(400);
    const { code, message } = await jsonOf<{ code: number; message: string }>(response);
    expect(code).toBe(400);
    expect(message).toMatch(/^[a-z][A-Za-z]*: /);
  });

  test('takes a cursor beyond the end of a log, and of a log that is gone, for what they are', async () => {
    expect((await ask({ cursor: 'v1.9999999~v9.5', digest: hex('one') })).entries.length).toBe(1);
    expect((await ask({ cursor: 'v9.5' })).entries).toEqual([]);
  });

  test('has no other method', async () => {
    expect((await log.post('/api/search', {})).status).toBe(405);
  });
});
