import { expect, test } from 'bun:test';
import { createDevIssuer } from '../ca/dev-issuer.ts';
import { generateRsaKey } from '../core/crypto/private-key.ts';
import type { FetchLike } from '../core/http/client.ts';
import { parseIdentityToken } from '../core/sign/identity-token.ts';
import { rejectionOf } from '../core/testing.ts';
import { fakeCli } from './testing.ts';
import { tokenCommand } from './token.ts';

const ISSUER = 'http://127.0.0.1:8080/oidc';
const NOW = new Date('2026-11-20T12:00:00Z');

const key = generateRsaKey(2048);
const devIssuer = createDevIssuer({
  url: ISSUER,
  clock: () => NOW,
  random: (n) => crypto.getRandomValues(new Uint8Array(n)),
  key: () => key,
  reach: 'loopback',
});

const fetch: FetchLike = async (url, init) => {
  const answer = devIssuer.handle(new Request(url, init), new URL(url), { address: '127.0.0.1', loopback: true });
  return (await answer) ?? new Response('not found', { status: 404 });
};

async function run(fetcher: FetchLike, outIsTerminal: boolean, ...args: string[]): Promise<string> {
  const cli = fakeCli({ fetch: fetcher, now: NOW, outIsTerminal });
  await tokenCommand(cli).parseAsync(args, { from: 'user' });
  return cli.printed.out;
}

const code = async (promise: Promise<unknown>): Promise<string> => (await rejectionOf(promise)).code;

test('the token is of the email, and ends in a newline only on a terminal', async () => {
  const piped = await run(fetch, false, '--issuer', ISSUER, '--email', 'a@b.example');
  expect(parseIdentityToken(piped)).toMatchObject({ email: 'a@b.example', audiences: ['sigstore'], issuer: ISSUER });
  expect(await run(fetch, true, '--issuer', ISSUER, '--email', 'a@b.example')).toEndWith('\n');
});

test('for machines with its expiry', async () => {
  const printed = await run(fetch, false, '--issuer', ISSUER, '--email', 'a@b.example', '--output', 'json');
  const { token, ...rest } = JSON.parse(printed) as { token: string };
  expect(rest).toEqual({
    schemaVersion: 1,
    ok: true,
    expires: parseIdentityToken(token).expires.toISOString(),
  } as never);
});

test('an issuer on another computer is not asked', async () => {
  expect(await code(run(fetch, false, '--issuer', 'https://issuer.example', '--email', 'a@b.example'))).toBe('USAGE');
});

test('an issuer that is not for development is told apart', async () => {
  const real: FetchLike = async () => Response.json({ issuer: ISSUER });
  expect(await code(run(real, false, '--issuer', ISSUER, '--email', 'a@b.example'))).toBe('LOGIN_FAILED');
});

test('what is no email is refused', async () => {
  expect(await code(run(fetch, false, '--issuer', ISSUER, '--email', 'nobody'))).toBe('SERVICE_REFUSED');
});
