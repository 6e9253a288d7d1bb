// kill -9 of a log, of its witness, and of both, while clients write: no answer without the witness's cosignature, nothing
// acknowledged lost, what is published never goes back, and the witness never cosigns two histories.
// CRASH_SEED=n repeats a run's moments of death.
import { afterAll, describe, expect, test } from 'bun:test';
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseBase64 } from '../../core/bytes/bytes.ts';
import { generateKey } from '../../core/crypto/private-key.ts';
import { parsePublicKey } from '../../core/crypto/public-key.ts';
import { parseCheckpoint } from '../../core/merkle/checkpoint.ts';
import { verifyCosignatures } from '../../core/merkle/cosignature.ts';
import { isNoteSignedBy } from '../../core/merkle/note.ts';
import { parseVkey, serializeVkey, type Vkey, vkeyOf } from '../../core/merkle/vkey.ts';
import { hashedRekordV2 } from '../../tlog/testing.ts';
import { ask, read } from './http.ts';
import { rootsOfPrefixes } from './rfc6962.ts';

const ROUNDS = 15;
const CLIENTS = 40;
const TIMEOUT_MS = 180_000;
const binary = process.env['HALLMARK_BINARY'] ?? join(import.meta.dir, '../../dist/hallmark');
const seed = Number(process.env['CRASH_SEED'] ?? randomInt(2 ** 31));
let state = seed;
/** From 0 to below 1, the same for the same seed. */
function random(): number {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
  return state / 0x80000000;
}
const directory = mkdtempSync(join(tmpdir(), 'hallmark-crash-witness-'));
const running = new Set<Bun.Subprocess>();
afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

/** Everything that the processes said on standard error. */
let said = '';

interface Ready {
  url: string;
  vkey: string;
  kill: () => Promise<void>;
}

async function start(...args: string[]): Promise<Ready> {
  const child = Bun.spawn([binary, 'serve', ...args, '--log-format', 'json'], {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
    env: { HOME: directory, PATH: process.env['PATH'] ?? '', NO_PROXY: '127.0.0.1' },
  });
  running.add(child);
  const ready = Promise.withResolvers<Omit<Ready, 'kill'>>();
  void (async () => {
    let own = '';
    for await (const chunk of child.stderr) {
      own += Buffer.from(chunk).toString();
      said += Buffer.from(chunk).toString();
      const line = own.split('\n').find((text) => text.includes('"event":"ready"') && text.endsWith('}'));
      if (line !== undefined) ready.resolve(JSON.parse(line));
    }
    ready.reject(new Error(`serve ended before it was ready:\n${own}`));
  })();
  const { url, vkey } = await ready.promise;
  return {
    url,
    vkey,
    kill: async () => {
      child.kill('SIGKILL');
      await child.exited;
      running.delete(child);
    },
  };
}

async function logVkey(url: string): Promise<Vkey> {
  type Root = { tlogs: { publicKey: { rawBytes: string; keyDetails: string } }[] };
  const { tlogs } = await read<Root>(`${url}/trusted_root.json`);
  const raw = tlogs.find(({ publicKey }) => publicKey.keyDetails === 'PKIX_ED25519')?.publicKey.rawBytes ?? '';
  return vkeyOf('127.0.0.1', 'log', parsePublicKey(parseBase64(raw)));
}

interface Acknowledged {
  readonly body: string;
  readonly index: number;
  readonly checkpoint: string;
}

describe(`kill -9 with a witness (CRASH_SEED=${seed})`, () => {
  test(
    `${ROUNDS} deaths of the log, the witness or both`,
    async () => {
      const plain = await start('log', '--listen', '127.0.0.1:0', '--data', join(directory, 'log'));
      const log = await logVkey(plain.url);
      await plain.kill();
      const watch = ['--name', 'w.example', '--watch', serializeVkey(log), '--data', join(directory, 'w')];
      let witness = await start('witness', '--listen', '127.0.0.1:0', ...watch);
      const key = parseVkey(witness.vkey);
      const config = join(directory, 'serve.json');
      const witnesses = [{ url: witness.url, vkey: witness.vkey }];
      // Answers wait for at most a second, so that a round with a dead witness ends.
      const policy = { threshold: 1, fail: 'closed', intervalMs: 20, timeoutMs: 500, answerMs: 1000, witnesses };
      writeFileSync(config, JSON.stringify({ witness: policy }));
      const serve = ['log', '--listen', new URL(plain.url).host, '--data', join(directory, 'log'), '--config', config];
      let server = await start(...serve);

      const signer = generateKey('p256');
      const acknowledged: Acknowledged[] = [];
      const published: string[] = [];
      let count = 0;
      async function write(until: () => boolean): Promise<void> {
        while (!until()) {
          const answer = await ask(`${server.url}/api/v2/log/entries`, hashedRekordV2(`${count++}`, signer)).catch(
            () => undefined,
          );
          if (answer?.status === 201) {
            type Entry = {
              logIndex: string;
              canonicalizedBody: string;
              inclusionProof: { checkpoint: { envelope: string } };
            };
            const entry = JSON.parse(answer.body.toString()) as Entry;
            const { envelope } = entry.inclusionProof.checkpoint;
            acknowledged.push({ body: entry.canonicalizedBody, index: Number(entry.logIndex), checkpoint: envelope });
          } else if (answer !== undefined) expect(answer.status).toBe(503);
        }
      }
      const sizeOf = (note: string): bigint => parseCheckpoint(note).treeSize;
      const largest = (): bigint =>
        [...acknowledged.map(({ checkpoint }) => checkpoint), ...published].reduce((max, note) => {
          const size = sizeOf(note);
          return size > max ? size : max;
        }, 0n);
      async function readPublished(): Promise<void> {
        const { status, body } = await ask(`${server.url}/checkpoint`);
        if (status === 503) return;
        expect(status).toBe(200);
        const note = body.toString();
        expect(sizeOf(note)).toBeGreaterThanOrEqual(largest());
        published.push(note);
      }

      for (let round = 1; round <= ROUNDS; round++) {
        const before = acknowledged.length;
        let over = false;
        const clients = Array.from({ length: CLIENTS }, () => write(() => over));
        await Bun.sleep(50 + random() * 400);
        const dies = round % 3;
        if (dies !== 1) await server.kill();
        if (dies !== 0) await witness.kill();
        // Some writes meet what is half alive.
        await Bun.sleep(random() * 100);
        over = true;
        await Promise.all(clients);
        if (dies !== 0) witness = await start('witness', '--listen', new URL(witness.url).host, ...watch);
        if (dies !== 1) server = await start(...serve);
        await readPublished();
        const who = ['the log', 'the witness', 'both'][dies];
        console.log(`round ${round}: killed ${who} after ${acknowledged.length - before} answers`);
      }
      // With both alive, writes are answered again.
      const before = acknowledged.length;
      await write(() => acknowledged.length > before + 3);
      await readPublished();

      const size = Number(sizeOf(published.at(-1) as string));
      const leaves: Buffer[] = [];
      for (let start = 0; start < size; start += 256) {
        const width = Math.min(256, size - start);
        const path = `${String(start / 256).padStart(3, '0')}${width === 256 ? '' : `.p/${width}`}`;
        const { body } = await ask(`${server.url}/tile/entries/${path}`);
        for (let at = 0; at < body.length; at += 2 + body.readUInt16BE(at))
          leaves.push(body.subarray(at + 2, at + 2 + body.readUInt16BE(at)));
      }
      expect(leaves).toHaveLength(size);
      const roots = rootsOfPrefixes(leaves);
      for (const { body, index } of acknowledged) expect(leaves[index]?.toString('base64')).toBe(body);
      for (const envelope of new Set([...acknowledged.map(({ checkpoint }) => checkpoint), ...published])) {
        const { note, treeSize, rootHash } = parseCheckpoint(envelope);
        expect(isNoteSignedBy(note, log)).toBe(true);
        expect(verifyCosignatures(note, [key])).toHaveLength(1);
        expect(Buffer.from(rootHash).toString('hex')).toBe(roots[Number(treeSize)] as string);
      }
      expect(acknowledged.length).toBeGreaterThan(ROUNDS * 5);
      expect(said).not.toContain('different trees');
      expect(said).not.toContain('has cosigned a tree of');
      console.log(`${acknowledged.length} acknowledged, ${size} logged, ${published.length} published heads looked at`);
      await server.kill();
      await witness.kill();
    },
    TIMEOUT_MS,
  );
});
