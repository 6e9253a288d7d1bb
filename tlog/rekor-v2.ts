import { serializeBase64 } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import { jsonResponse } from '../core/http/front-end.ts';
import { MAX_LOG_REQUEST_BYTES } from '../core/limits.ts';
import type { BodyReader } from './body-reader.ts';
import { createDispatcher, type Route, requireBody } from './http.ts';
import type { Appended, Log } from './log.ts';
import { tileRoutes } from './tile-routes.ts';

export interface RekorV2Options {
  readonly log: Log;
  /** Untruncated signed-note key hash. */
  readonly logId: Uint8Array;
  readonly bodies: BodyReader;
  readonly onFault: (error: unknown) => void;
}

/**
 * Rekor v2's HTTP interface: `POST /api/v2/log/entries`, and checkpoint, tiles and entry bundles at `/` and `/api/v2/`.
 * A duplicate is answered as the first was, with its entry. Answers undefined for other paths.
 */
export function createRekorV2({ log, logId, bodies, onFault }: RekorV2Options) {
  async function createEntry(request: Request): Promise<Response> {
    const { body, extra } = await bodies.read('proposalV2', await requireBody(request, MAX_LOG_REQUEST_BYTES));
    const appended = await log.append(extra ? { body, extra } : { body });
    return jsonResponse(201, transparencyLogEntry(appended, logId));
  }
  const routes: Route[] = [
    { method: 'POST', name: '/api/v2/log/entries', path: /^\/api\/v2\/log\/entries$/, answer: createEntry },
    ...tileRoutes(log),
  ];
  return createDispatcher(routes, errorAnswer, onFault);
}

/** TransparencyLogEntry of sigstore_rekor.proto as the reference writes it, unset fields included. */
function transparencyLogEntry(entry: Appended, logId: Uint8Array): Json {
  return {
    logIndex: `${entry.index}`,
    logId: { keyId: serializeBase64(logId) },
    kindVersion: { kind: 'hashedrekord', version: '0.0.2' },
    integratedTime: '0',
    inclusionPromise: null,
    inclusionProof: {
      logIndex: `${entry.index}`,
      rootHash: serializeBase64(entry.rootHash),
      treeSize: `${entry.treeSize}`,
      hashes: entry.hashes.map(serializeBase64),
      checkpoint: { envelope: entry.checkpoint },
    },
    canonicalizedBody: serializeBase64(entry.body),
  };
}

/** google.rpc.Code for the HTTP statuses that are used. */
const GRPC_CODES: Readonly<Record<number, number>> = { 400: 3, 404: 5, 405: 12, 413: 8, 500: 13, 503: 14 };

/** google.rpc.Status in JSON. */
function errorAnswer(status: number, message: string, headers: Readonly<Record<string, string>>): Response {
  return jsonResponse(status, { code: GRPC_CODES[status] ?? 2, message, details: [] }, headers);
}
