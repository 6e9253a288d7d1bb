// Every call to the store × how it fails × whether the process goes on or dies there, over two trees that share commits.
// What is left on the disk is held to what was answered by code that shares nothing with the log.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { rootsOfPrefixes, tileLevelAbove } from '../.ci/crash/rfc6962.ts';
import { serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { generateKey } from '../core/crypto/private-key.ts';
import { leafHash } from '../core/merkle/tree.ts';
import { createNoteSigner } from './checkpoint-signer.ts';
import { createGroupCommit } from './group-commit.ts';
import { type Appended, type Log, openLog } from './log.ts';
import type { Store } from './store.ts';
import { createMemoryDisk, createMemoryStore, type Fault, type FaultyStore, type MemoryDisk } from './testing-store.ts';

// Each case opens logs and checks them whole many times: seconds where the machine is busy.
setDefaultTimeout(60_000);

const TREES = { v2: 'leaf-hash', ct: 'submitted' } as const;
type Tree = keyof typeof TREES;
const KEY = generateKey('ed25519');
const clock = () => new Date('2026-03-01T12:00:00Z');
const body = (tree: Tree, n: number) => serializeUtf8(`${tree} entry ${n}`);

/** Before the fault: one tile is full, and the next one fills up after it. */
const BEFORE = 500;
const AFTER = 24;

/** What the two logs have told anybody. */
interface Told {
  readonly acknowledged: Map<string, { tree: Tree; n: number; index: bigint }>;
  readonly heads: { tree: Tree; size: bigint; root: string }[];
}

async function openBoth(disk: MemoryDisk, arm: (store: FaultyStore) => void = () => {}): Promise<Record<Tree, Log>> {
  const memory = createMemoryStore(disk);
  arm(memory);
  const store = createGroupCommit(memory);
  await store.once('setting', 'value');
  const open = (tree: Tree): Promise<Log> =>
    openLog({ store, tree, signer: createNoteSigner(tree, tree, KEY), clock, identity: TREES[tree] });
  return { v2: await open('v2'), ct: await open('ct') };
}

/** As a service manager does it: what is left of the dead process may still be writing. */
async function startedAgain(disk: MemoryDisk): Promise<Record<Tree, Log>> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openBoth(disk);
    } catch (error) {
      if ((error as { code?: string }).code !== 'LOG_HEAD_MOVED' || attempt === 5) throw error;
    }
  }
}

async function submit(logs: Record<Tree, Log>, told: Told, tree: Tree, n: number): Promise<void> {
  let answer: Appended;
  try {
    const bytes = body(tree, n);
    answer = await logs[tree].append({ body: bytes, ...(tree === 'ct' && { identity: sha256(bytes) }) });
  } catch {
    // The submitter may only know that it has to try again.
    return;
  }
  const before = told.acknowledged.get(`${tree} ${n}`);
  if (before) expect(answer.index).toBe(before.index);
  told.acknowledged.set(`${tree} ${n}`, { tree, n, index: answer.index });
  told.heads.push({ tree, size: answer.treeSize, root: serializeHex(answer.rootHash) });
}

/** Two at a time in each tree, one of them twice, and one that was there long before. */
async function submitMany(logs: Record<Tree, Log>, told: Told, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n += 2) {
    await Promise.all(
      (['v2', 'ct'] as const).flatMap((tree) => [n, n + 1, n, n - from].map((each) => submit(logs, told, tree, each))),
    );
  }
}

/** Everything on the disk that contradicts RFC 6962 or what was told. */
function findContradictions(disk: MemoryDisk, told: Told): string[] {
  return (['v2', 'ct'] as const).flatMap((tree) => {
    const found: string[] = [];
    const stored = disk.trees.get(tree);
    const bodies = (stored?.leaves ?? []).map((leaf) => leaf.body);
    const roots = rootsOfPrefixes(bodies);
    const size = Number(stored?.head?.treeSize ?? 0n);
    if (size !== bodies.length) found.push(`${tree}: ${bodies.length} entries under a head of ${size}`);
    if (new Set(bodies.map(serializeHex)).size !== bodies.length) found.push(`${tree}: an entry is there twice`);
    let last = -1n;
    for (const { head } of disk.history.filter((each) => each.tree === tree)) {
      const root = Buffer.from(head.checkpoint.split('\n')[2] ?? '', 'base64').toString('hex');
      if (roots[Number(head.treeSize)] !== root) found.push(`${tree}: the head of ${head.treeSize} is of another tree`);
      if (head.treeSize <= last) found.push(`${tree}: a head of ${head.treeSize} after one of ${last}`);
      last = head.treeSize;
    }
    for (const { size: toldSize, root } of told.heads.filter((each) => each.tree === tree)) {
      if (roots[Number(toldSize)] !== root) found.push(`${tree}: another root was told for ${toldSize}`);
    }
    for (const { n, index } of [...told.acknowledged.values()].filter((each) => each.tree === tree)) {
      const at = bodies[Number(index)];
      if (!at || serializeHex(at) !== serializeHex(body(tree, n))) found.push(`${tree}: entry ${n} is not at ${index}`);
    }
    let hashes: Buffer[] = bodies.map((bytes) => Buffer.from(leafHash(bytes)));
    for (let level = 0; hashes.length > 0; level++) {
      for (let at = 0; at + 256 <= hashes.length; at += 256) {
        const object = disk.objects.get(stored?.tiles.get(`${level}/${at / 256}`) ?? '');
        if (!object || !Buffer.concat(hashes.slice(at, at + 256)).equals(object)) {
          found.push(`${tree}: tile ${level}/${at / 256} is not that of the entries`);
        }
      }
      hashes = tileLevelAbove(hashes);
    }
    return found;
  });
}

const METHODS = ['once', 'head', 'commit', 'leaves', 'identities', 'tile'] as const satisfies (keyof Store)[];
const FAULTS = ['lost', 'halfway', 'persisted'] as const satisfies Fault[];
const cases = METHODS.flatMap((method) =>
  FAULTS.filter((fault) => fault !== 'halfway' || method === 'commit').flatMap((fault) =>
    [1, 2, 3].flatMap((nth) => (['goes on', 'dies'] as const).map((then) => ({ method, fault, nth, then }))),
  ),
);

describe('a call to the store fails', () => {
  test.each(cases)('$method $nth $fault, and the process $then', async ({ method, fault, nth, then }) => {
    const disk = createMemoryDisk();
    const told: Told = { acknowledged: new Map(), heads: [] };
    let armed: FaultyStore | undefined;
    let logs = await openBoth(disk, (store) => {
      armed = store;
    });
    await Promise.all(
      (['v2', 'ct'] as const).flatMap((tree) => Array.from({ length: BEFORE }, (_, n) => submit(logs, told, tree, n))),
    );
    expect(told.acknowledged.size).toBe(2 * BEFORE);

    armed?.failCall(method, nth, fault);
    // Who dies leaves its appends unanswered; one of its commits may still reach the disk.
    if (then === 'dies') void submitMany(logs, { acknowledged: new Map(), heads: [] }, BEFORE, BEFORE + 4);
    else await submitMany(logs, told, BEFORE, BEFORE + AFTER);
    for (let turn = 0; turn < nth; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(findContradictions(disk, told)).toEqual([]);

    // The start, too, may meet the fault; the next one does not.
    try {
      logs = await openBoth(disk, (store) => store.failCall(method, nth, fault));
      await submitMany(logs, told, BEFORE, BEFORE + 6);
    } catch (error) {
      expect((error as { code?: string }).code).toMatch(/^(?:FILE_UNWRITABLE|LOG_HEAD_MOVED)$/);
    }
    logs = await startedAgain(disk);
    for (let round = 0; round < 3; round++) await submitMany(logs, told, BEFORE, BEFORE + AFTER);
    expect(told.acknowledged.size).toBe(2 * (BEFORE + AFTER));
    expect(findContradictions(disk, told)).toEqual([]);
  });

  test('the checker would notice', async () => {
    const disk = createMemoryDisk();
    const told: Told = { acknowledged: new Map(), heads: [] };
    const logs = await openBoth(disk);
    await Promise.all(Array.from({ length: 300 }, (_, n) => submit(logs, told, 'v2', n)));
    const lies = (change: (disk: MemoryDisk, told: Told) => void): string => {
      const copy = structuredClone({ disk, told });
      change(copy.disk, copy.told);
      return findContradictions(copy.disk, copy.told).join('\n');
    };
    expect(lies(() => {})).toBe('');
    const [first] = told.acknowledged.values();
    if (!first) throw new Error('nothing was acknowledged');
    expect(lies((_, { acknowledged }) => acknowledged.set('v2 0', { ...first, index: 7n }))).toContain('is not at 7');
    expect(lies((_, { heads }) => heads.push({ tree: 'v2', size: 3n, root: '00' }))).toContain('another root was told');
    expect(lies(({ objects }) => objects.clear())).toContain('tile 0/0 is not that of the entries');
    expect(lies(({ history }) => history.push(...history.slice(0, 1)))).toContain('after one of');
    expect(lies(({ trees }) => trees.delete('v2'))).toContain('is not at');
  });
});
