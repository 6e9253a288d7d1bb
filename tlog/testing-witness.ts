import { generateKey } from '../core/crypto/private-key.ts';
import type { FetchLike } from '../core/http/client.ts';
import { signCheckpoint } from '../core/merkle/checkpoint.ts';
import { consistencyProof, leafHash, nodeHash } from '../core/merkle/tree.ts';
import { type Vkey, vkeyOf } from '../core/merkle/vkey.ts';
import { rootOfSize } from './tree-edge.ts';
import { openWitness, type Witness, watchedLogs } from './witness.ts';
import type { WitnessStore } from './witness-store.ts';

/**
 * Test only: a log of numbered leaves under `origin`, at any size, without an engine. Another `branch` has other leaves from
 * `forkedAt` on.
 */
export function createToyLog(origin: string, branch = '', forkedAt = 0n, key = generateKey('ed25519')) {
  const vkey = vkeyOf(origin, 'log', key.publicKey);
  const readNode = (level: number, index: bigint): Uint8Array =>
    level === 0
      ? leafHash(Buffer.from(index < forkedAt ? `${index}` : `${branch}${index}`))
      : nodeHash(readNode(level - 1, 2n * index), readNode(level - 1, 2n * index + 1n));
  return {
    key,
    vkey,
    checkpoint(treeSize: bigint, rootHash = rootOfSize(treeSize, readNode), by = key): string {
      return signCheckpoint({ origin, treeSize, rootHash }, { name: vkey.name, keyId: vkey.keyId, key: by });
    },
    proof: (from: bigint, to: bigint): Uint8Array[] => consistencyProof(from, to, readNode),
  };
}

/** Test only: a witness's store in memory, asynchronous, whose next change can fail. */
export function createMemoryWitnessStore(notes = new Map<string, string>()) {
  let fault: 'lost' | 'persisted' | undefined;
  const tick = () => new Promise((resolve) => setImmediate(resolve));
  const store: WitnessStore = {
    async latest(origin) {
      await tick();
      return notes.get(origin);
    },
    async replace(origin, expected, next) {
      await tick();
      const failing = fault;
      fault = undefined;
      if (failing === 'lost') throw new Error('the disk is full');
      const fits = notes.get(origin) === expected;
      if (fits) notes.set(origin, next);
      if (failing === 'persisted') throw new Error('the disk says nothing');
      return fits;
    },
    close: () => Promise.resolve(),
  };
  return {
    notes,
    store,
    failNext: (how: 'lost' | 'persisted') => {
      fault = how;
    },
  };
}

/** Test only: witnesses under `http://NAME`, asked through a `fetch` without a network. `watch` says which log they know. */
export async function createTestWitnesses(names: readonly string[], watch: Vkey, clock: () => Date) {
  const witnesses = new Map<string, { witness: Witness; memory: ReturnType<typeof createMemoryWitnessStore> }>();
  for (const name of names) {
    const memory = createMemoryWitnessStore();
    const logs = watchedLogs([{ origin: undefined, key: watch }]);
    const key = generateKey('ed25519');
    const witness = await openWitness({ name, key, logs, store: memory.store, clock, onEvent: () => {} });
    witnesses.set(name, { witness, memory });
  }
  const requests: string[] = [];
  /** What a witness does in place of its duty. */
  const faults = new Map<string, () => Response | Promise<Response>>();
  const fetch: FetchLike = async (url, init) => {
    const { hostname } = new URL(url);
    requests.push(hostname);
    const fault = faults.get(hostname);
    if (fault) return fault();
    const request = new Request(url, init);
    const answer = await witnesses
      .get(hostname)
      ?.witness.handle(request, new URL(url), { address: '', loopback: false });
    if (!answer) throw new Error(`nobody listens at ${url}`);
    return answer;
  };
  return {
    fetch,
    requests,
    faults,
    memories: [...witnesses.values()].map(({ memory }) => memory),
    addresses: [...witnesses].map(([name, { witness }]) => ({ url: `http://${name}`, vkey: witness.vkey })),
  };
}
