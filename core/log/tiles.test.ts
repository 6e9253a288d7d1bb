import { expect, test } from 'bun:test';
import { serializeUtf8 } from '../bytes/bytes.ts';
import { ServiceError } from '../errors.ts';
import type { Http } from '../http/client.ts';
import { fakeHttp } from '../http/testing.ts';
import { parseTilePath, TILE_WIDTH } from '../merkle/tile.ts';
import { inclusionProof, leafHash, nodeHash, type ReadNode, verifyInclusion } from '../merkle/tree.ts';
import { fetchInclusionProof } from './tiles.ts';

const SIZE = 70_000n;

// Every complete level of the tree, from the leaves up.
const levels: Uint8Array[][] = [Array.from({ length: Number(SIZE) }, (_, i) => leafHash(serializeUtf8(`entry ${i}`)))];
for (let below = levels[0] as Uint8Array[]; below.length > 1; below = levels.at(-1) as Uint8Array[]) {
  levels.push(
    Array.from({ length: below.length >> 1 }, (_, i) =>
      nodeHash(below[2 * i] as Uint8Array, below[2 * i + 1] as Uint8Array),
    ),
  );
}
const readNode: ReadNode = (level, index) => levels[level]?.[Number(index)] as Uint8Array;

/** A log's tiles behind fetch; `drop` says which partial tiles are gone. */
function tileServer(change: (path: string) => Response | undefined = () => undefined): Http {
  return fakeHttp(async (url) => {
    const path = new URL(url).pathname.replace('/api/v2/', '');
    const changed = change(path);
    if (changed !== undefined) return changed;
    const tile = parseTilePath(path);
    if (tile === undefined || tile.level === 'entries') return new Response('', { status: 404 });
    const first = Number(tile.index) * TILE_WIDTH;
    const hashes = (levels[tile.level * 8] ?? []).slice(first, first + tile.width);
    return new Response(Buffer.concat(hashes));
  });
}

const URL_BASE = 'https://log.example/api/v2';

test('proofs from tiles are those of the tree', async () => {
  for (const [index, size] of [
    [0n, 1n],
    [0n, 2n],
    [255n, 256n],
    [256n, 257n],
    [300n, 700n],
    [65_535n, 65_536n],
    [69_999n, 70_000n],
    [5n, 69_999n],
  ] as const) {
    const proof = await fetchInclusionProof(tileServer(), URL_BASE, index, size);
    expect(proof).toEqual(inclusionProof(index, size, readNode));
  }
});

test('a proof verifies against the root', async () => {
  const hashes = await fetchInclusionProof(tileServer(), URL_BASE, 777n, 1024n);
  verifyInclusion({
    leafHash: readNode(0, 777n),
    index: 777n,
    treeSize: 1024n,
    hashes,
    rootHash: readNode(10, 0n),
  });
});

test('a partial tile that is gone is taken from the full one', async () => {
  const http = tileServer((path) => (path.includes('.p/') ? new Response('', { status: 404 }) : undefined));
  expect(await fetchInclusionProof(http, URL_BASE, 300n, 500n)).toEqual(inclusionProof(300n, 500n, readNode));
});

test('a tile that is too short is refused', async () => {
  const http = tileServer(() => new Response(new Uint8Array(32)));
  await expect(fetchInclusionProof(http, URL_BASE, 300n, 500n)).rejects.toThrow(ServiceError);
});
