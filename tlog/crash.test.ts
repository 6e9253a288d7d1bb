import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseHex, serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { generateKey, parsePrivateKey, serializePrivateKey } from '../core/crypto/private-key.ts';
import { leafHash, verifyConsistency, verifyInclusion } from '../core/merkle/tree.ts';
import { createNoteSigner } from './checkpoint-signer.ts';
import { openLog } from './log.ts';
import { openSqliteStore } from './sqlite-store.ts';

const KEY = serializePrivateKey(generateKey('ed25519'));

/** What the killed process tells of each entry that was acknowledged. */
interface Acknowledged {
  body: string;
  index: number;
  treeSize: number;
  rootHash: string;
}

// Runs in a process of its own: appends without end, 20 at a time, and reports what was acknowledged.
const WRITER = `
  import { openSqliteStore } from '${import.meta.dir}/sqlite-store.ts';
  import { createNoteSigner } from '${import.meta.dir}/checkpoint-signer.ts';
  import { openLog } from '${import.meta.dir}/log.ts';
  import { parsePrivateKey } from '${import.meta.dir}/../core/crypto/private-key.ts';
  const [directory, name] = process.argv.slice(-2);
  const signer = createNoteSigner('log.example', 'log.example', parsePrivateKey(process.env.KEY));
  const log = await openLog({ store: openSqliteStore(directory), tree: 'v2', signer, clock: () => new Date(), identity: 'leaf-hash' });
  let count = 0;
  const work = async () => {
    for (;;) {
      const body = name + ' ' + count++;
      const { index, treeSize, rootHash } = await log.append({ body: new TextEncoder().encode(body) });
      process.stdout.write(JSON.stringify({ body, index: Number(index), treeSize: Number(treeSize), rootHash: Buffer.from(rootHash).toString('hex') }) + '\\n');
    }
  };
  for (let i = 0; i < 20; i++) work();
`;

async function appendUntilKilled(directory: string, name: string): Promise<Acknowledged[]> {
  const writer = Bun.spawn([process.execPath, '-e', WRITER, '--', directory, name], {
    stdout: 'pipe',
    stderr: 'inherit',
    env: { ...process.env, KEY },
  });
  let text = '';
  const decoder = new TextDecoder();
  for await (const part of writer.stdout) {
    text += decoder.decode(part, { stream: true });
    // Enough for full tiles; then in the middle of whatever it does.
    if (text.length > 60_000) writer.kill('SIGKILL');
  }
  await writer.exited;
  const lines = text.slice(0, text.lastIndexOf('\n')).split('\n');
  return lines.map((line) => JSON.parse(line) as Acknowledged);
}

test('a process that is killed while it appends loses nothing that it acknowledged', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hallmark-crash-'));
  try {
    const acknowledged: Acknowledged[] = [];
    for (const round of ['a', 'b', 'c']) acknowledged.push(...(await appendUntilKilled(directory, round)));
    expect(acknowledged.length).toBeGreaterThan(1000);

    const store = openSqliteStore(directory);
    const signer = createNoteSigner('log.example', 'log.example', parsePrivateKey(KEY, undefined));
    const log = await openLog({ store, tree: 'v2', signer, clock: () => new Date(), identity: 'leaf-hash' });
    const { treeSize, rootHash } = log.head();
    const roots = new Map<number, string>();
    for (const entry of acknowledged) {
      const index = BigInt(entry.index);
      expect((await log.entry(index))?.body).toEqual(serializeUtf8(entry.body));
      verifyInclusion({ leafHash: leafHash(serializeUtf8(entry.body)), index, ...(await log.proveInclusion(index)) });
      // One root for each size, whatever was killed in between.
      expect(roots.get(entry.treeSize) ?? entry.rootHash).toBe(entry.rootHash);
      roots.set(entry.treeSize, entry.rootHash);
    }
    for (const [size, root] of roots) {
      verifyConsistency({
        firstSize: BigInt(size),
        firstRoot: parseHex(root),
        secondSize: treeSize,
        secondRoot: rootHash,
        hashes: await log.consistencyPath(BigInt(size), treeSize),
      });
    }
    const bodies = (await log.entries(0n, treeSize)).map((entry) => serializeHex(entry.body));
    expect(new Set(bodies).size).toBe(bodies.length);
    await log.close();
    await store.close();
  } finally {
    rmSync(directory, { recursive: true });
  }
}, 60_000);
