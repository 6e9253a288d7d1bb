// kill -9 while 500 clients sign, then a start on the same data: nothing that was acknowledged may be lost, and no
// checkpoint that was handed out may be of another history. CRASH_SEED=n repeats a run's moments of death.
//
// kill -9 leaves what was written in the kernel's cache, so this shows that the order of writing and of acknowledging is
// right, not that the disk was told to flush.
import { afterAll, describe, expect, test } from 'bun:test';
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBrokenPromises, findInconsistencies, findMissing, type Keys, readKeys } from './checker.ts';
import { ask, read } from './http.ts';
import { generator } from './random.ts';
import { leafHash, rootsOfPrefixes } from './rfc6962.ts';
import { type Server, startAndKill, startServer } from './server.ts';
import { noPromises, type Promised, type Promises, signOnce, watch } from './signing.ts';

const ROUNDS = 5;
const CLIENTS = 500;
/** A certificate and two entries for each. */
const PROMISES = CLIENTS * 3;
const TIMEOUT_MS = 90_000;

const seed = Number(process.env['CRASH_SEED'] ?? randomInt(2 ** 31));
const random = generator(seed);
const directory = mkdtempSync(join(tmpdir(), 'hallmark-crash-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe(`kill -9 (CRASH_SEED=${seed})`, () => {
  test(
    `${CLIENTS} signings at once, ${ROUNDS} times: every acknowledged entry and every checkpoint stays true`,
    async () => {
      const data = join(directory, 'signing');
      const made = noPromises();
      let server = await startServer(data, '127.0.0.1:0');
      const listen = new URL(server.url).host;
      const keys = await readKeys(server.url);
      for (let round = 1; round <= ROUNDS; round++) {
        const before = count(made);
        await signUntilKilled(server, made, 1 + Math.floor(random() * PROMISES * 0.9), random() * 5);
        const answered = count(made) - before;
        // Dead again while it starts: recovery is not spared either.
        if (round % 2 === 0) await startAndKill(data, listen, 5 + random() * 60);
        server = await startServer(data, listen);
        expect(await findBrokenPromises(server.url, keys, made)).toEqual([]);
        await expectRemembered(server, made);
        console.log(`round ${round}: killed after ${answered} of ${PROMISES} answers, nothing lost`);
      }
      expect(await server.stop()).toBe(0);

      // And once more after a clean stop.
      server = await startServer(data, listen);
      expect(await findBrokenPromises(server.url, keys, made)).toEqual([]);
      await expectNoticed(server, keys, made);
      expect(await server.stop()).toBe(0);
    },
    TIMEOUT_MS,
  );

  test(
    'during the first start: the next start is a whole instance',
    async () => {
      for (let i = 0; i < 8; i++) {
        const data = join(directory, `first-${i}`);
        // The URL of an instance is fixed at its first start, and the port with it.
        const listen = `127.0.0.1:${freePort()}`;
        await startAndKill(data, listen, 5 + random() * 80);
        const server = await startServer(data, listen);
        const made = noPromises();
        const keys = await readKeys(server.url);
        await signOnce(await targetOf(server), 'first@example.com', made, () => {});
        expect([made.certificates.length, made.v1.length, made.v2.length]).toEqual([1, 1, 1]);
        expect(await findBrokenPromises(server.url, keys, made)).toEqual([]);
        await server.kill();
      }
    },
    TIMEOUT_MS,
  );
});

/** Lets all clients sign, and kills the server some time after the given number of answers. */
async function signUntilKilled(server: Server, made: Promises, killAfter: number, delayMs: number): Promise<void> {
  const target = await targetOf(server);
  const killed = Promise.withResolvers<void>();
  let answers = 0;
  const acknowledged = (): void => {
    answers += 1;
    if (answers === killAfter) setTimeout(() => void server.kill().then(killed.resolve), delayMs);
  };
  const watching = watch(target, made);
  const clients = Array.from({ length: CLIENTS }, (_, i) =>
    signOnce(target, `client-${i % 50}@example.com`, made, acknowledged),
  );
  await Promise.all(clients);
  // Refused clients never come to the number; their refusals are findings.
  if (answers < killAfter) await server.kill();
  else await killed.promise;
  await watching;
}

async function targetOf(server: Server): Promise<{ url: string; tokenEndpoint: string }> {
  const discovery = await read<Record<string, string>>(`${server.devIssuer}/.well-known/openid-configuration`);
  return { url: server.url, tokenEndpoint: discovery['hallmark_development_token_endpoint'] ?? '' };
}

/** An entry submitted again is recognised, also by a server that had died: the same index on v2, a conflict on v1. */
async function expectRemembered(server: Server, made: Promises): Promise<void> {
  for (let i = 0; i < 5; i++) {
    const v1 = pick(made.v1);
    const again = v1 && (await ask(`${server.url}/api/v1/log/entries`, v1.request));
    if (v1) {
      expect(again?.status).toBe(409);
      expect(again?.headers['location']).toEndWith(leafHash(v1.body).toString('hex'));
    }
    const v2 = pick(made.v2);
    if (v2) {
      const answer = await ask(`${server.url}/api/v2/log/entries`, v2.request);
      expect(answer.status).toBe(201);
      expect(Number((JSON.parse(answer.body.toString()) as { logIndex: string }).logIndex)).toBe(v2.index);
    }
  }
}

/** What the checker is worth: each of these lies must be noticed. */
async function expectNoticed(server: Server, keys: Keys, made: Promises): Promise<void> {
  const [entry] = made.v2;
  if (!entry) throw new Error('no entry was ever acknowledged: the server was killed too early each time');
  const findings = (lie: Partial<Promises>): Promise<string[]> =>
    findBrokenPromises(server.url, keys, { ...made, ...lie });
  expect((await findings({ v2: [{ ...entry, index: entry.index + 1 }] })).length).toBeGreaterThan(0);
  expect((await findings({ v2: [{ ...entry, signature: 'of another' }] })).join()).toContain('not what was submitted');
  const forged = entry.checkpoint.replace(/\n(\d+)\n/, (_, size) => `\n${Number(size) + 1}\n`);
  expect((await findings({ v2Checkpoints: [forged] })).join()).toContain('not signed by the log');

  const leaves = ['a', 'b', 'c'].map((text) => Buffer.from(text));
  const root = rootsOfPrefixes(leaves)[2] as string;
  const lost: Promised = { ...entry, index: 3 };
  expect(findInconsistencies('log', leaves, [{ size: 2, root }])).toEqual([]);
  expect(findInconsistencies('log', leaves, [{ size: 3, root }]).join()).toContain('not of this log');
  expect(findInconsistencies('log', leaves.slice(0, 1), [{ size: 2, root }]).join()).toContain('the log has 1');
  expect(findMissing('log', leaves, [lost]).join()).toContain('lost');
}

const count = (made: Promises): number => made.certificates.length + made.v1.length + made.v2.length;
const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];

function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => {} } });
  listener.stop();
  return listener.port;
}
