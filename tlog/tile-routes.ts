import { parseTilePath, serializeEntryBundle, TILE_WIDTH } from '../core/merkle/tile.ts';
import { Refusal, type Route } from './http.ts';
import type { LogReader } from './log-reader.ts';
import { createStretches } from './stretches.ts';

/** Entries that are read at a stretch: with what is kept beside them up to 130 KB each. */
const READ_ENTRIES = 16;

// A tile or bundle of a given width never changes.
const IMMUTABLE = {
  'Content-Type': 'application/octet-stream',
  'Cache-Control': 'public, max-age=31536000, immutable',
};

/**
 * C2SP tlog-tiles: `/checkpoint`, `/tile/<L>/<N>[.p/<W>]` and `/tile/entries/<N>[.p/<W>]`, at the root and under `/api/v2`.
 * Partial tiles of every width that the tree ever had stay readable, also after the tile became full.
 */
export function tileRoutes(log: LogReader): Route[] {
  const inStretches = createStretches(() => performance.now());

  async function getTile(path: string): Promise<Response> {
    const tile = parseTilePath(path);
    const content =
      tile &&
      (tile.level === 'entries'
        ? await bundle(tile.index, tile.width)
        : await log.tile(tile.level, tile.index, tile.width));
    if (!content) throw new Refusal(404, 'the log has no such tile', { 'Cache-Control': 'no-store' });
    return new Response(content, { headers: IMMUTABLE });
  }

  async function bundle(index: bigint, width: number): Promise<Uint8Array | undefined> {
    const start = index * BigInt(TILE_WIDTH);
    const end = start + BigInt(width);
    if (end > log.head().treeSize) return undefined;
    const bodies: Uint8Array[] = [];
    for (let at = start; at < end; at += BigInt(READ_ENTRIES)) {
      const next = at + BigInt(READ_ENTRIES);
      const entries = await inStretches(() => log.entries(at, next < end ? next : end));
      for (const { body } of entries) bodies.push(body);
    }
    return inStretches(async () => serializeEntryBundle(bodies));
  }

  return [
    {
      method: 'GET',
      name: '/checkpoint',
      path: /^(?:\/api\/v2)?\/checkpoint$/,
      answer: () =>
        new Response(log.head().checkpoint, {
          headers: { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-cache' },
        }),
    },
    {
      method: 'GET',
      name: '/tile/{path}',
      path: /^(?:\/api\/v2)?\/(tile\/.+)$/,
      answer: (_request, _url, [path = '']) => getTile(path),
    },
  ];
}
