import { equal, parseBase64, parseDecimal, serializeBase64 } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import { parseJson } from '../core/bytes/json.ts';
import { type PrivateKey, sign } from '../core/crypto/private-key.ts';
import { jsonResponse } from '../core/http/front-end.ts';
import {
  BUNDLE_PIECE_ENTRIES,
  MAX_CHAIN_CERTIFICATES,
  MAX_CT_ENTRIES,
  MAX_CT_ENTRIES_BYTES,
  MAX_CT_REQUEST_BYTES,
  MAX_LOG_SIZE,
} from '../core/limits.ts';
import { isSignedWith } from '../core/x509/algorithms.ts';
import { type Certificate, parseCertificate } from '../core/x509/certificate.ts';
import { isPrecertificate, serializeDigitallySigned, treeHeadSignedData } from './ct-entry.ts';
import { submitToCtLog } from './ct-log.ts';
import { createDispatcher, jsonInteger, Refusal, type Route, requireBody } from './http.ts';
import type { Log } from './log.ts';
import type { Leaf } from './store.ts';

export interface CtOptions {
  readonly log: Log;
  readonly key: PrivateKey;
  readonly clock: () => Date;
  /** Roots of the chains that strangers may submit; without any nobody may. */
  readonly roots: readonly Certificate[];
  readonly onFault: (error: unknown) => void;
}

/** The HTTP interface of RFC 6962 §4 under `/ct/v1/`. */
export function createCtFrontEnd({ log, key, clock, roots, onFault }: CtOptions) {
  /** §4.1 add-chain, §4.2 add-pre-chain. */
  async function addChain(request: Request, wantPrecertificate: boolean): Promise<Response> {
    const body = parseJson(await requireBody(request, MAX_CT_REQUEST_BYTES));
    const fields = new Fields(body, '', 'FIELD_INVALID');
    const chain = fields.array('chain', MAX_CHAIN_CERTIFICATES).map((item) => {
      if (typeof item !== 'string') throw fields.fail('chain', 'expected strings');
      return parseCertificate(parseBase64(item));
    });
    const [certificate] = chain;
    if (!certificate) throw fields.fail('chain', 'missing');
    if (isPrecertificate(certificate) !== wantPrecertificate) {
      throw new Refusal(400, wantPrecertificate ? 'not a precertificate' : 'a precertificate belongs to add-pre-chain');
    }
    const sct = await submitToCtLog(log, key, clock, certificate, requireChainToRoot(chain, roots));
    return jsonResponse(200, {
      sct_version: 0,
      id: serializeBase64(sct.logId),
      timestamp: jsonInteger(sct.timestamp),
      extensions: '',
      signature: serializeBase64(serializeDigitallySigned(sct.signature)),
    });
  }

  /** §4.3. The time is that of the answer: no entry waits outside the tree, so every head is the newest. */
  function getTreeHead(): Response {
    const { treeSize, rootHash } = log.head();
    const timestamp = BigInt(clock().getTime());
    const signature = sign(key, treeHeadSignedData(timestamp, treeSize, rootHash));
    return jsonResponse(200, {
      tree_size: jsonInteger(treeSize),
      timestamp: jsonInteger(timestamp),
      sha256_root_hash: serializeBase64(rootHash),
      tree_head_signature: serializeBase64(serializeDigitallySigned(signature)),
    });
  }

  /** §4.4. */
  async function getConsistency(url: URL): Promise<Response> {
    const first = decimal(url, 'first');
    const second = decimal(url, 'second');
    if (first > second || second > log.head().treeSize)
      throw new Refusal(400, 'first <= second <= tree size is required');
    const path = await log.consistencyPath(first, second);
    return jsonResponse(200, { consistency: path.map(serializeBase64) });
  }

  /** §4.5. */
  async function getProofByHash(url: URL): Promise<Response> {
    const hash = parseBase64(parameter(url, 'hash'));
    const treeSize = requireTreeSize(url);
    const index = await log.indexOf(hash);
    if (index === undefined || index >= treeSize) throw new Refusal(404, 'no such entry in this tree');
    const path = await log.inclusionPath(index, treeSize);
    return jsonResponse(200, { leaf_index: jsonInteger(index), audit_path: path.map(serializeBase64) });
  }

  /** §4.6: both ends are included; the answer may be shorter than asked for. */
  async function getEntries(url: URL): Promise<Response> {
    const start = decimal(url, 'start');
    const end = decimal(url, 'end');
    if (start > end || start >= log.head().treeSize)
      throw new Refusal(400, 'start <= end, start < tree size is required');
    const last = end - start >= BigInt(MAX_CT_ENTRIES) ? start + BigInt(MAX_CT_ENTRIES) - 1n : end;
    const entries: Leaf[] = [];
    const step = BigInt(BUNDLE_PIECE_ENTRIES);
    let bytes = 0;
    for (let from = start; from <= last && bytes < MAX_CT_ENTRIES_BYTES; from += step) {
      const to = from + step <= last ? from + step : last + 1n;
      for (const entry of await log.entries(from, to)) {
        if (bytes >= MAX_CT_ENTRIES_BYTES) break;
        bytes += entry.body.length + (entry.extra?.length ?? 0);
        entries.push(entry);
      }
    }
    return jsonResponse(200, {
      entries: entries.map(({ body, extra }) => ({
        leaf_input: serializeBase64(body),
        extra_data: serializeBase64(extra ?? new Uint8Array(0)),
      })),
    });
  }

  /** §4.8. */
  async function getEntryAndProof(url: URL): Promise<Response> {
    const index = decimal(url, 'leaf_index');
    const treeSize = requireTreeSize(url);
    if (index >= treeSize) throw new Refusal(400, 'leaf_index < tree_size is required');
    const entry = await log.entry(index);
    if (!entry) throw new Error('internal: an entry below the tree size is absent');
    const path = await log.inclusionPath(index, treeSize);
    return jsonResponse(200, {
      leaf_input: serializeBase64(entry.body),
      extra_data: serializeBase64(entry.extra ?? new Uint8Array(0)),
      audit_path: path.map(serializeBase64),
    });
  }

  function requireTreeSize(url: URL): bigint {
    const treeSize = decimal(url, 'tree_size');
    if (treeSize < 1n || treeSize > log.head().treeSize) throw new Refusal(400, 'the log has no tree of this size');
    return treeSize;
  }

  const get = (name: string, answer: (url: URL) => Promise<Response> | Response): Route => ({
    method: 'GET',
    name: `/ct/v1/${name}`,
    path: new RegExp(`^/ct/v1/${name}$`),
    answer: (_, url) => answer(url),
  });
  const routes: Route[] = [
    {
      method: 'POST',
      name: '/ct/v1/add-chain',
      path: /^\/ct\/v1\/add-chain$/,
      answer: (request) => addChain(request, false),
    },
    {
      method: 'POST',
      name: '/ct/v1/add-pre-chain',
      path: /^\/ct\/v1\/add-pre-chain$/,
      answer: (request) => addChain(request, true),
    },
    get('get-sth', getTreeHead),
    get('get-sth-consistency', getConsistency),
    get('get-proof-by-hash', getProofByHash),
    get('get-entries', getEntries),
    get('get-entry-and-proof', getEntryAndProof),
    // §4.7.
    get('get-roots', () => jsonResponse(200, { certificates: roots.map((root) => serializeBase64(root.der)) })),
  ];
  return createDispatcher(
    routes,
    (status, message, headers) => jsonResponse(status, { error_message: message, success: false }, headers),
    onFault,
  );
}

/**
 * The issuers above the first certificate of a submitted chain, a root of ours last (§3.1: each certificate directly
 * certifies the one before). Validity times do not matter to a log.
 */
function requireChainToRoot(
  submitted: readonly Certificate[],
  roots: readonly Certificate[],
): [Certificate, ...Certificate[]] {
  const last = submitted[submitted.length - 1];
  const isRoot = roots.some((root) => last !== undefined && equal(root.der, last.der));
  const root = roots.find((candidate) => last !== undefined && isIssuedBy(last, candidate));
  const path = isRoot ? submitted : root ? [...submitted, root] : [];
  const [issuer, ...rest] = path.slice(1);
  if (!issuer || path.slice(1).some((authority, i) => !isIssuedBy(path[i] as Certificate, authority))) {
    throw new Refusal(400, 'the chain does not lead to a root of this log');
  }
  return [issuer, ...rest];
}

function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  return (
    issuer.isCa &&
    equal(certificate.issuerName, issuer.subjectName) &&
    isSignedWith(issuer.publicKey, certificate.signatureAlgorithm, certificate.tbs, certificate.signature)
  );
}

function parameter(url: URL, name: string): string {
  const value = url.searchParams.get(name);
  if (value === null) throw new Refusal(400, `${name} is missing`);
  return value;
}

function decimal(url: URL, name: string): bigint {
  const text = parameter(url, name);
  try {
    return parseDecimal(text, MAX_LOG_SIZE);
  } catch {
    throw new Refusal(400, `${name} is not a decimal number`);
  }
}
