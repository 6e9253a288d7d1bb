import { afterAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { unsignedToken } from '../core/sign/testing.ts';
import { errorOf, rejectionOf } from '../core/testing.ts';
import { PUBLIC_GOOD } from '../core/trust/public-good.ts';
import type { GitSettingName, GitSettings } from './git-settings.ts';
import { signForGit } from './git-signing.ts';
import { type GitStack, openGitStack } from './git-stack.ts';
import { fakeCli } from './testing.ts';

// Somebody who trusts two instances, one.test in use, and works in a repository that has settings of its own.
const home = mkdtempSync(join(tmpdir(), 'hallmark-known-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
for (const name of ['one', 'two']) {
  const folder = join(home, '.local/share/hallmark/trust', name);
  mkdirSync(folder, { recursive: true });
  const meta = { fingerprint: 'sha256:00', fetchedAt: '2026-08-01T00:00:00Z' };
  writeFileSync(join(folder, 'meta.json'), JSON.stringify(meta));
  writeFileSync(join(folder, 'trusted_root.json'), PUBLIC_GOOD.trustedRoot);
  writeFileSync(
    join(folder, 'signing_config.v0.2.json'),
    PUBLIC_GOOD.signingConfig.replaceAll('sigstore.dev', `${name}.test`),
  );
}
mkdirSync(join(home, '.config/hallmark'), { recursive: true });
writeFileSync(join(home, '.config/hallmark/trust.json'), '{"use":"one"}\n');

const ONE = {
  fulcio: 'https://fulcio.one.test',
  rekor: 'https://rekor.one.test',
  issuer: 'https://oauth2.one.test/auth',
  timestampServerURL: 'https://timestamp.one.test/api/v1/timestamp',
};
const TWO = {
  fulcio: 'https://fulcio.two.test',
  rekor: 'https://rekor.two.test',
  issuer: 'https://oauth2.two.test/auth',
  timestampServerURL: 'https://timestamp.two.test/api/v1/timestamp',
};
type Values = Partial<Record<GitSettingName, string>>;

const settingsOf = (repository: Values, users: Values): GitSettings => {
  const read =
    (values: Values, isUsers: boolean): GitSettings['get'] =>
    (name) => {
      const value = values[name];
      return value === undefined ? undefined : { value, source: isUsers ? 'user' : 'repository', isUsers };
    };
  const [theirs, own] = [read(repository, false), read(users, true)];
  return { get: (name) => theirs(name) ?? own(name), users: own, all: () => [], ignored: [], git: () => undefined };
};
const cliWith = (env: Record<string, string> = {}, calls: string[] = []) =>
  fakeCli({
    env: { HOME: home, ...env },
    now: new Date('2026-09-01T00:00:00Z'),
    fetch: async (url) => {
      calls.push(String(url));
      return new Response('the test ends here', { status: 400 });
    },
  });
const open = (repository: Values, users: Values = {}): GitStack =>
  openGitStack(cliWith(), settingsOf(repository, users), 'SIGNED MESSAGE');
const authority = (repository: Values, users: Values = {}): string | undefined =>
  open(repository, users).choice.authority;

describe('a repository chooses', () => {
  test('nothing', () => {
    expect(authority({})).toBe(ONE.fulcio);
    expect(open({}).choice).toMatchObject({ issuers: undefined, isUsersIssuer: true });
  });
  test('another stack whole, by its name, by its authority, or service by service', () => {
    for (const values of [{ trust: 'two' }, { fulcio: TWO.fulcio }, { fulcio: `${TWO.fulcio}/` }, TWO]) {
      const { instance, issuer, choice } = open(values);
      expect([instance.name, issuer]).toEqual(['two', TWO.issuer]);
      expect(choice.issuers).toEqual(expect.arrayContaining([TWO.issuer]));
      expect(choice.issuers).not.toContain(ONE.issuer);
    }
  });
  test('what the user has anyway, whatever else the user configured', () => {
    expect(authority({ trust: 'one' }, { rekor: 'https://own.test' })).toBe(ONE.fulcio);
    expect(authority({ fulcio: 'https://own.test' }, { fulcio: 'https://own.test/' })).toBe('https://own.test');
    expect(open({ fulcio: ONE.fulcio, issuer: ONE.issuer }).choice.issuers).toBeUndefined();
  });
});

describe('refused of a repository', () => {
  test.each<[string, Values, Values]>([
    ['the authority of one stack and the issuer of another', { fulcio: TWO.fulcio, issuer: ONE.issuer }, {}],
    ['the issuer of another stack', { issuer: TWO.issuer }, {}],
    ['the log of another stack', { rekor: TWO.rekor }, {}],
    ['the timestamp authority of another stack', { timestampServerURL: TWO.timestampServerURL }, {}],
    ['a stack by name, and the authority of another', { trust: 'one', fulcio: TWO.fulcio }, {}],
    ["an authority beside the user's own issuer", { fulcio: TWO.fulcio }, { issuer: ONE.issuer }],
    ["a stack by name beside the user's own authority", { trust: 'two' }, { fulcio: ONE.fulcio }],
    [
      "an issuer of a known stack beside the user's own authority",
      { issuer: TWO.issuer },
      { fulcio: 'https://own.test' },
    ],
    ['an issuer as an authority', { fulcio: TWO.issuer }, {}],
    ['an authority as an issuer', { fulcio: TWO.fulcio, issuer: TWO.fulcio }, {}],
  ])('%s', (_, repository, users) => {
    const error = errorOf(() => open(repository, users));
    expect([error.code, error.message]).toEqual(['USAGE', expect.stringMatching(/mixes services|do not trust/)]);
  });
  test.each(Object.keys(ONE) as GitSettingName[])('a %s that nobody knows', (name) => {
    const error = errorOf(() => open({ [name]: 'https://evil.test' }));
    expect([error.code, error.message]).toEqual(['USAGE', expect.stringContaining('that you do not trust')]);
  });
  test('a login that would get the client secret of another issuer', () => {
    const secret = { clientSecretFile: '/secret' };
    expect(errorOf(() => open({ trust: 'two' }, secret)).message).toContain('not to get your client secret');
    expect(open({ trust: 'one' }, secret).identity.clientSecretFile).toBe('/secret');
    expect(open({}, { ...secret, trust: 'two' }).identity.clientSecretFile).toBe('/secret');
  });
});

test('a user may pair what they like', () => {
  const pair = { fulcio: TWO.fulcio, issuer: ONE.issuer };
  expect(open({}, pair)).toMatchObject({ issuer: ONE.issuer, choice: { authority: TWO.fulcio, issuers: undefined } });
});

describe('an identity token', () => {
  // What is asked of services when this is signed with the token of an issuer, and how it ends.
  async function signed(issuer: string, repository: Values, users: Values = {}): Promise<[string, string[]]> {
    const calls: string[] = [];
    const token = unsignedToken({ iss: issuer, sub: 'me', aud: 'sigstore', email: 'me@one.test', exp: 4_000_000_000 });
    const settings = settingsOf(repository, { agent: 'false', ...users });
    const cli = cliWith({ SIGSTORE_ID_TOKEN: token }, calls);
    const payload = serializeUtf8('tree 0\n\nx\n');
    const { code } = await rejectionOf(signForGit(cli, settings, payload, 'SIGNED MESSAGE'));
    return [code, [...new Set(calls.map((url) => new URL(url).host))]];
  }
  const refused: [string, string[]] = ['IDENTITY_TOKEN_INVALID', []];
  const sentTo = (host: string): [string, string[]] => ['SERVICE_REFUSED', [host]];

  test('of one stack goes to no other that a repository chose', async () => {
    expect(await signed(ONE.issuer, { trust: 'two' })).toEqual(refused);
    expect(await signed(ONE.issuer, { fulcio: TWO.fulcio })).toEqual(refused);
    expect(await signed('https://ci.test', { trust: 'two' })).toEqual(refused);
    expect(await signed(ONE.issuer, { trust: 'public-good' })).toEqual(refused);
  });
  test('of the stack that a repository chose goes there', async () => {
    expect(await signed(TWO.issuer, { trust: 'two' })).toEqual(sentTo('fulcio.two.test'));
  });
  test('of whomever goes to the authority that the user chose', async () => {
    expect(await signed('https://ci.test', {})).toEqual(sentTo('fulcio.one.test'));
    expect(await signed('https://ci.test', { trust: 'one' })).toEqual(sentTo('fulcio.one.test'));
    expect(await signed(ONE.issuer, {}, { trust: 'two' })).toEqual(sentTo('fulcio.two.test'));
    expect(await signed(ONE.issuer, { trust: 'two' }, { trust: 'two' })).toEqual(sentTo('fulcio.two.test'));
  });
});
