import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKey } from '../core/crypto/private-key.ts';
import type { HallmarkError } from '../core/errors.ts';
import type { FetchLike } from '../core/http/client.ts';
import { rejectionOf } from '../core/testing.ts';
import { createStack, type Stack } from '../server.ts';
import { hashedRekordV1, hashedRekordV2 } from '../tlog/testing.ts';
import { logCommand } from './log.ts';
import { fakeCli } from './testing.ts';

const URL_BASE = 'http://127.0.0.1:18081';
const peer = { address: '127.0.0.1', loopback: true };
const key = generateKey('p256');

let directory: string;
let stack: Stack;
/** What answers in place of the log at a path. */
let instead: (path: string, real: () => Promise<Response>) => Promise<Response>;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hallmark-log-'));
  instead = (_path, real) => real();
  stack = await open('data');
  writeFileSync(at('trust.json'), await (await ask('/client_trust_config.json')).text());
});
afterEach(async () => {
  await stack.close();
  rmSync(directory, { recursive: true });
});

const at = (name: string): string => join(directory, name);
const ask = (path: string, init?: RequestInit) => stack.handle(new Request(`${URL_BASE}${path}`, init), peer);
const fetch: FetchLike = (url, init) => {
  const { pathname } = new URL(url);
  return instead(pathname, () => stack.handle(new Request(url, init), peer));
};
const open = (data: string): Promise<Stack> =>
  createStack(
    { data: at(data), publicUrl: URL_BASE, part: 'all', issuers: undefined, exposeDevIssuer: false },
    { clock: () => new Date(), random: (n) => crypto.getRandomValues(new Uint8Array(n)), fetch, log: () => {} },
  );

/** Logs something in both dialects. */
async function append(text: string): Promise<void> {
  for (const [path, body] of [
    ['/api/v1/log/entries', hashedRekordV1(text, key)],
    ['/api/v2/log/entries', hashedRekordV2(text, key)],
  ] as const) {
    const { status } = await ask(path, { method: 'POST', body: JSON.stringify(body) });
    expect(status).toBe(201);
  }
}

async function run(...args: string[]): Promise<string> {
  const cli = fakeCli({ fetch, env: { HOME: directory } });
  await logCommand(cli).parseAsync([...args, '--trust-config', at('trust.json')], { from: 'user' });
  return cli.printed.out;
}
const codeOf = async (...args: string[]): Promise<string> => (await rejectionOf(run(...args))).code;
const log = (version: 1 | 2) => ['--rekor-url', URL_BASE, '--rekor-version', `${version}`];
const memories = (): string[] => readdirSync(at('.local/share/hallmark/logs')).toSorted();

for (const version of [1, 2] as const) {
  describe(`a Rekor v${version} log`, () => {
    test('that grows extends what was seen', async () => {
      for (const text of ['a', 'b', 'c']) {
        await append(text);
        await run('info', ...log(version));
      }
      expect(memories()).toHaveLength(1);
      expect(await run('consistency', ...log(version))).toContain('CONSISTENT');
    });
    test('that forked between two calls is noticed, and both checkpoints are kept', async () => {
      await append('a');
      await stack.close();
      cpSync(at('data'), at('fork'), { recursive: true });
      stack = await open('data');
      await append('b');
      await run('info', ...log(version));
      const [name] = memories();
      const before = readFileSync(at(`.local/share/hallmark/logs/${name}`), 'utf8');
      await stack.close();
      stack = await open('fork');
      await append('x');
      await append('y');
      for (const command of ['info', 'consistency']) {
        const error = await rejectionOf(run(command, ...log(version)));
        expect(error.code).toBe('CONSISTENCY_PROOF_WRONG');
      }
      expect(await codeOf('info', ...log(version))).toBe('CONSISTENCY_PROOF_WRONG');
      expect(memories()).toHaveLength(2);
      expect(memories().some((file) => file.endsWith('.contradiction.note'))).toBe(true);
      expect(readFileSync(at(`.local/share/hallmark/logs/${name}`), 'utf8')).toBe(before);
      expect(await run('info', ...log(version), '--no-memory')).toContain('VERIFIED');
    });
    test('of the same size with another tree is noticed', async () => {
      await append('a');
      await stack.close();
      cpSync(at('data'), at('fork'), { recursive: true });
      stack = await open('data');
      await append('b');
      await run('info', ...log(version));
      await stack.close();
      stack = await open('fork');
      await append('x');
      expect(await codeOf('info', ...log(version))).toBe('CONSISTENCY_PROOF_WRONG');
    });
    test('that went back is noticed', async () => {
      await append('a');
      await stack.close();
      cpSync(at('data'), at('old'), { recursive: true });
      stack = await open('data');
      await append('b');
      await run('info', ...log(version));
      await stack.close();
      stack = await open('old');
      const error = await rejectionOf(run('info', ...log(version)));
      expect(error.code).toBe('CONSISTENCY_PROOF_WRONG');
      expect(error.message).toMatch(/shows \d entries and had shown \d before/);
    });
    test('whose entry is not the one that is proven', async () => {
      await append('a');
      await append('b');
      instead = async (path, real) => {
        const answer = await real();
        if (path.includes('/tile/entries/')) {
          const bytes = new Uint8Array(await answer.arrayBuffer());
          bytes[bytes.length - 20] = (bytes[bytes.length - 20] as number) ^ 1;
          return new Response(bytes);
        }
        if (!path.startsWith('/api/v1/log/entries')) return answer;
        const json = (await answer.json()) as Record<string, { body: string }>;
        const [id, entry] = Object.entries(json)[0] as [string, { body: string }];
        const body = Buffer.from(entry.body, 'base64').toString().replace('sha256', 'sha384');
        return Response.json({ [id]: { ...entry, body: Buffer.from(body).toString('base64') } });
      };
      expect(['INCLUSION_PROOF_WRONG', 'SERVICE_ANSWER_INVALID']).toContain(await codeOf('get', '1', ...log(version)));
    });
    test('that answers with another entry than was asked for', async () => {
      await append('a');
      await append('b');
      instead = (path, real) =>
        path.startsWith('/api/v1/log/entries') ? Promise.resolve(ask('/api/v1/log/entries?logIndex=1')) : real();
      if (version === 1) expect(await codeOf('get', '2', ...log(1))).toBe('SERVICE_ANSWER_INVALID');
      else expect(await run('get', '1', ...log(2))).toContain('LOGGED');
    });
    test('that nobody trusts, and one in the other dialect', async () => {
      await append('a');
      const other = await open('other');
      const mine = stack;
      stack = other;
      await append('a');
      expect(await codeOf('info', ...log(version))).toBe('LOG_UNKNOWN');
      expect(await codeOf('get', '0', ...log(version))).toBe('LOG_UNKNOWN');
      stack = mine;
      await other.close();
      instead = async (path, real) => {
        if (path === '/api/v1/log')
          return Response.json({ signedTreeHead: await (await ask('/api/v2/checkpoint')).text() });
        if (path === '/api/v2/checkpoint') {
          const { signedTreeHead } = (await (await ask('/api/v1/log')).json()) as { signedTreeHead: string };
          return new Response(signedTreeHead);
        }
        return real();
      };
      expect(await codeOf('info', ...log(version))).toBe('LOG_DIALECT_MISMATCH');
    });
  });
}

test('a damaged memory is an error that says how to go on', async () => {
  await append('a');
  await run('info', ...log(1));
  const [name] = memories();
  writeFileSync(at(`.local/share/hallmark/logs/${name}`), 'garbage');
  const error = (await rejectionOf(run('info', ...log(1)))) as HallmarkError;
  expect(error.code).toBe('NOTE_INVALID');
  expect(error.hint).toContain('rm ');
});

test('without a home nothing is remembered', async () => {
  await append('a');
  const cli = fakeCli({ fetch, env: {} });
  await logCommand(cli).parseAsync(['info', ...log(1), '--trust-config', at('trust.json')], { from: 'user' });
  expect(cli.printed.out).toContain('VERIFIED');
  expect(existsSync(at('.local'))).toBe(false);
});
