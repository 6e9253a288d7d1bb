// A reader of C2SP tlog-tiles that is not ours reads the whole v2 log: checkpoint, hash tiles, entry bundles, consistency.
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Stack, startStack } from './stack.ts';

let stack: Stack;
const slow = 120_000;
beforeAll(async () => {
  stack = await startStack();
}, slow);
afterAll(async () => stack.stop(), slow);

interface TrustedRoot {
  readonly tlogs: { publicKey: { rawBytes: string; keyDetails: string }; logId: { keyId: string } }[];
}

/** C2SP signed-note's form of the log's key: name, key ID in hex, and 0x01 before the Ed25519 key. */
async function vkey(): Promise<string> {
  const { tlogs } = (await (await fetch(`${stack.url}/trusted_root.json`)).json()) as TrustedRoot;
  const log = tlogs.find(({ publicKey }) => publicKey.keyDetails === 'PKIX_ED25519');
  if (!log) throw new Error('the trusted root has no v2 log');
  const key = Buffer.concat([Buffer.of(1), Buffer.from(log.publicKey.rawBytes, 'base64').subarray(-32)]);
  return `127.0.0.1+${Buffer.from(log.logId.keyId, 'base64').toString('hex').slice(0, 8)}+${key.toString('base64')}`;
}

async function append(count: number): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const rawBytes = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  const submissions = Array.from({ length: count }, async () => {
    const artifact = Buffer.from(crypto.randomUUID());
    const hashedRekordRequestV002 = {
      digest: new Bun.CryptoHasher('sha256').update(artifact).digest('base64'),
      signature: {
        content: sign('sha256', artifact, privateKey).toString('base64'),
        verifier: { publicKey: { rawBytes }, keyDetails: 'PKIX_ECDSA_P256_SHA_256' },
      },
    };
    const body = JSON.stringify({ hashedRekordRequestV002 });
    const answer = await fetch(`${stack.url}/api/v2/log/entries`, { method: 'POST', body });
    expect(answer.status).toBe(201);
    await answer.arrayBuffer();
  });
  await Promise.all(submissions);
}

test(
  'reads and verifies the whole log under both prefixes, and that it only grew',
  async () => {
    const cwd = stack.workspace('tiles');
    await append(3);
    await stack.run(cwd, `read-log ${stack.url} '${await vkey()}' > old`);
    // Past one full tile, and a partial one beside it.
    await append(300);
    for (const prefix of ['', '/api/v2']) {
      const { stderr } = await stack.run(cwd, `read-log ${stack.url}${prefix} '${await vkey()}' old > new`);
      expect(stderr).toBe('127.0.0.1: 303 entries, each included\nconsistent with the tree of 3\n');
    }
    // The tree of the first checkpoint is still to be read: so are its partial tiles.
    await stack.run(cwd, `curl -fsS ${stack.url}/tile/0/000.p/3 -o /dev/null`);
  },
  slow,
);

test(
  'does not accept a log that is tampered with, nor one of another key',
  async () => {
    const cwd = stack.workspace('tampered');
    await append(5);
    const name = await vkey();
    const proxy = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: async (request) => {
        const path = new URL(request.url).pathname;
        const bytes = new Uint8Array(await (await fetch(`${stack.url}${path}`)).arrayBuffer());
        if (path.startsWith(spoilt)) bytes[40] = (bytes[40] as number) ^ 1;
        return new Response(bytes);
      },
    });
    let spoilt = '/nothing';
    const read = (fails: boolean, key = name) =>
      stack.run(cwd, `read-log http://127.0.0.1:${proxy.port} '${key}'`, { fails });
    try {
      await read(false);
      for (const prefix of ['/checkpoint', '/tile/0/', '/tile/entries/']) {
        spoilt = prefix;
        await read(true);
      }
      spoilt = '/nothing';
      const other = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
      const id = new Bun.CryptoHasher('sha256').update('127.0.0.1\n\x01').update(other).digest('hex').slice(0, 8);
      await read(true, `127.0.0.1+${id}+${Buffer.concat([Buffer.of(1), other]).toString('base64')}`);
      await writeOld(cwd);
      await stack.run(cwd, `read-log ${stack.url} '${name}' old`, { fails: true });
    } finally {
      await proxy.stop(true);
    }
  },
  slow,
);

/** An old checkpoint whose root is another: its signature no longer holds. */
async function writeOld(cwd: string): Promise<void> {
  const lines = (await (await fetch(`${stack.url}/checkpoint`)).text()).split('\n');
  lines[2] = Buffer.alloc(32, 7).toString('base64');
  writeFileSync(join(cwd, 'old'), lines.join('\n'));
}
