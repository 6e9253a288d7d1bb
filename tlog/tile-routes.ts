import { concat } from '../core/bytes/bytes.ts';
import { answerInPieces } from '../core/http/answers.ts';
import type { Peer } from '../core/http/front-end.ts';
import { BUNDLE_PIECE_ENTRIES, LARGE_ANSWER_BYTES } from '../core/limits.ts';
import { parseTilePath, serializeEntryBundle, TILE_WIDTH } from '../core/merkle/tile.ts';
import { Refusal, type Route } from './http.ts';
import type { LogReader } from './log-reader.ts';
import { createStretches } from './stretches.ts';

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

  async function getTile(path: string, peer: Peer): Promise<Response> {
    const tile = parseTilePath(path);
    const absent = new Refusal(404, 'the log has no such tile', { 'Cache-Control': 'no-store' });
    if (!tile) throw absent;
    if (tile.level === 'entries') {
      const start = tile.index * BigInt(TILE_WIDTH);
      const end = start + BigInt(tile.width);
      if (end > log.head().treeSize) throw absent;
      return answerInPieces(peer, bundle(start, end), IMMUTABLE);
    }
    const content = await log.tile(tile.level, tile.index, tile.width);
    if (!content) throw absent;
    return new Response(content, { headers: IMMUTABLE });
  }

  /** An entry bundle in pieces: up to 256 entries may have 16 MB. */
  async function* bundle(start: bigint, end: bigint): AsyncGenerator<Uint8Array, void> {
    const step = BigInt(BUNDLE_PIECE_ENTRIES);
    let gathered: Uint8Array[] = [];
    let bytes = 0;
    for (let from = start; from < end; from += step) {
      const to = from + step < end ? from + step : end;
      const entries = await inStretches(() => log.entries(from, to));
      if (BigInt(entries.length) !== to - from) throw new Error('internal: an entry below the tree size is absent');
      const part = serializeEntryBundle(entries.map(({ body }) => body));
      gathered.push(part);
      bytes += part.length;
      if (bytes < LARGE_ANSWER_BYTES && to < end) continue;
      yield concat(...gathered);
      gathered = [];
      bytes = 0;
    }
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
      answer: (_request, _url, [path = ''], peer) => getTile(path, peer),
    },
  ];
}
