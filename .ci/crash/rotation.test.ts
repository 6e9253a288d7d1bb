// kill -9 while a log is rotated, at any moment: after the next start there is the old state or the new one, its trust says
// the same, and nothing that was acknowledged in any shard is lost.
import { afterAll, expect, test } from 'bun:test';
import { createHash, generateKeyPairSync, randomBytes, randomInt, sign } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, read } from './http.ts';
import { leafHash, rootOfPath } from './rfc6962.ts';
import { startServer } from './server.ts';
import { type LogEntry, promisedV1 } from './signing.ts';

const ROUNDS = 10;
/** A rotation takes about this long, ms. */
const ROTATION_MS = 60;
const TIMEOUT_MS = 180_000;
const binary = process.env['HALLMARK_BINARY'] ?? join(import.meta.dir, '../../dist/hallmark');
const directory = mkdtempSync(join(tmpdir(), 'hallmark-rotation-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface ShownShard {
  readonly url: string;
  readonly frozen: boolean;
}
interface Trust {
  readonly tlogs: {
    readonly baseUrl: string;
    readonly logId: { keyId: string };
    publicKey: { validFor: { end?: string } };
  }[];
}

test(
  `${ROUNDS} rotations, each killed at some moment`,
  async () => {
    const data = join(directory, 'data');
    let server = await startServer(data, '127.0.0.1:0');
    const listen = new URL(server.url).host;
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const acknowledged = new Map<number, Buffer>();
    const keyIds = new Set<string>();
    let rotated = 0;

    const submit = async (): Promise<void> => {
      const artifact = randomBytes(32);
      const { status, body } = await ask(`${server.url}/api/v1/log/entries`, {
        apiVersion: '0.0.1',
        kind: 'hashedrekord',
        spec: {
          signature: {
            content: sign('sha256', artifact, privateKey).toString('base64'),
            publicKey: { content: Buffer.from(publicKey.export({ type: 'spki', format: 'pem' })).toString('base64') },
          },
          data: { hash: { algorithm: 'sha256', value: createHash('sha256').update(artifact).digest('hex') } },
        },
      });
      if (status !== 201) throw new Error(`${status} ${body}`);
      const [entry] = Object.values(JSON.parse(body.toString()) as Record<string, LogEntry>);
      if (!entry) throw new Error('an acknowledgement without an entry');
      expect(acknowledged.has(entry.logIndex)).toBe(false);
      acknowledged.set(entry.logIndex, promisedV1(entry).body);
    };

    for (let round = 0; round < ROUNDS; round++) {
      await submit();
      const log = round % 2 === 0 ? 'v1' : 'v2';
      const before = await shardsOf(data);
      const rotation = Bun.spawn([binary, 'log', 'rotate', `--${log}`, '--data', data], {
        stderr: 'ignore',
        stdout: 'ignore',
      });
      // The command itself needs a while to start.
      await Bun.sleep(randomInt(2 * ROTATION_MS));
      await server.kill();
      const reported = (await rotation.exited) === 0;
      server = await startServer(data, listen);

      const shards = await shardsOf(data);
      const grown = shards[log].length - before[log].length;
      expect(reported ? [1] : [0, 1]).toContain(grown);
      rotated += grown;
      for (const name of ['v1', 'v2'] as const) {
        expect(shards[name].map(({ frozen }) => frozen)).toEqual(
          shards[name].map((_, i) => i < shards[name].length - 1),
        );
      }
      // The trust says what is: every shard once, and an end for each but the last.
      const { tlogs } = await read<Trust>(`${server.url}/trusted_root.json`);
      const ends = (all: ShownShard[]) => all.map(({ url, frozen }) => [url, frozen]);
      expect(tlogs.map((tlog) => [tlog.baseUrl, tlog.publicKey.validFor.end !== undefined])).toEqual([
        ...ends(shards.v1),
        ...ends(shards.v2),
      ]);
      for (const { logId } of tlogs) keyIds.add(logId.keyId);
      await submit();
    }
    // A key that a crash left over is taken up by the next rotation: there are as many as shards.
    expect(keyIds.size).toBe(2 + rotated);

    for (const [index, body] of acknowledged) {
      const answer = await read<
        Record<
          string,
          LogEntry & { verification: { inclusionProof: { logIndex: number; treeSize: number; rootHash: string } } }
        >
      >(`${server.url}/api/v1/log/entries?logIndex=${index}`);
      const [entry] = Object.values(answer);
      if (!entry) throw new Error(`entry ${index} is lost`);
      const found = promisedV1(entry);
      expect(found.body.equals(body)).toBe(true);
      const { logIndex, treeSize, rootHash } = entry.verification.inclusionProof;
      expect(rootOfPath(leafHash(body), logIndex, treeSize, found.hashes)).toBe(rootHash);
    }
    console.log(`${rotated} of ${ROUNDS} rotations came to be, ${acknowledged.size} entries are all there`);
    expect(await server.stop()).toBe(0);
  },
  TIMEOUT_MS,
);

async function shardsOf(data: string): Promise<Record<'v1' | 'v2', ShownShard[]>> {
  const child = Bun.spawn([binary, 'log', 'shards', '--output', 'json', '--data', data], {
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const text = await new Response(child.stdout).text();
  return (JSON.parse(text) as { logs: Record<'v1' | 'v2', ShownShard[]> }).logs;
}
