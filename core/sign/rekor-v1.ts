import type { TransparencyLogEntry } from '../bundle/bundle.ts';
import { parseEntryBody, serializeHashedRekordV001 } from '../bundle/entry.ts';
import { parseBase64, parseHex, serializeBase64, serializeUtf8 } from '../bytes/bytes.ts';
import { Fields } from '../bytes/fields.ts';
import type { Json } from '../bytes/json.ts';
import { serializeEnvelope } from '../dsse/envelope.ts';
import { InputError, ServiceError } from '../errors.ts';
import {
  type Http,
  type HttpAnswer,
  type HttpRequest,
  joinUrl,
  parseJsonAnswer,
  readAnswer,
  request,
} from '../http/client.ts';
import { MAX_INDEX_RESULTS, MAX_LOG_SIZE, MAX_PROOF_HASHES } from '../limits.ts';
import { type Submission, verifierPem } from './submission.ts';

const SERVICE = 'the transparency log (Rekor v1)';
const TIMEOUT_MS = 30_000;
const ENTRIES = '/api/v1/log/entries';
/** An entry ID: the leaf hash, or the tree ID before it (Rekor's EntryID). */
const ENTRY_ID = /^(?:[0-9a-f]{64}|[0-9a-f]{80})$/;

/**
 * Logs a signature in a Rekor v1 log and returns the entry with proof and promise, not yet verified. An entry that exists
 * already is fetched and is as good (409, its ID in Location).
 */
export async function submitToRekorV1(http: Http, url: string, submission: Submission): Promise<TransparencyLogEntry> {
  const call: HttpRequest = {
    service: SERVICE,
    method: 'POST',
    url: joinUrl(url, ENTRIES),
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: proposedEntry(submission),
    timeoutMs: TIMEOUT_MS,
    accept: [200, 201, 409],
  };
  const answer = await request(http, call);
  if (answer.status !== 409) return parseLogEntry(call, parseJsonAnswer(call, answer));
  return fetchLogEntry(http, url, existingEntryId(call, answer));
}

/** The entry of this ID with proof and promise, not verified. An ID is the leaf hash, or the tree ID before it. */
export async function fetchLogEntry(http: Http, url: string, id: string): Promise<TransparencyLogEntry> {
  const call: HttpRequest = {
    service: SERVICE,
    method: 'GET',
    url: joinUrl(url, `${ENTRIES}/${id}`),
    headers: { accept: 'application/json' },
    timeoutMs: TIMEOUT_MS,
    accept: [200],
    // Reads can lag behind writes: the log knows the entry, its replica not yet.
    retry: [404],
  };
  return parseLogEntry(call, parseJsonAnswer(call, await request(http, call)));
}

/** The IDs of the entries about a digest, as its index has them. */
export async function searchRekorV1(http: Http, url: string, query: { readonly hash: string }): Promise<string[]> {
  const call: HttpRequest = {
    service: SERVICE,
    method: 'POST',
    url: joinUrl(url, '/api/v1/index/retrieve'),
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(query),
    timeoutMs: TIMEOUT_MS,
    accept: [200],
  };
  const answer = parseJsonAnswer(call, await request(http, call));
  return readAnswer(call, () => {
    if (!Array.isArray(answer) || answer.length > MAX_INDEX_RESULTS || !answer.every(isEntryId)) {
      throw new InputError('ENTRY_INVALID', `expected up to ${MAX_INDEX_RESULTS} entry IDs`);
    }
    return answer;
  });
}

const isEntryId = (id: Json): id is string => typeof id === 'string' && ENTRY_ID.test(id);

function proposedEntry({ content, verifier }: Submission): Uint8Array | string {
  const pem = verifierPem(verifier);
  if (content.kind === 'message') {
    const { hash, digest, signature } = content;
    return serializeHashedRekordV001({ hash, digest, signature, publicKeyPem: pem });
  }
  // dsse 0.0.1: the log takes the envelope as text and stores its hashes and signatures only.
  return JSON.stringify({
    apiVersion: '0.0.1',
    kind: 'dsse',
    spec: {
      proposedContent: {
        envelope: serializeEnvelope(content.envelope),
        verifiers: [serializeBase64(serializeUtf8(pem))],
      },
    },
  });
}

// The log is asked for the ID at its own URL: Location could name any host.
function existingEntryId(call: HttpRequest, answer: HttpAnswer): string {
  const id = answer.headers.get('location')?.split('/').at(-1) ?? '';
  if (ENTRY_ID.test(id)) return id;
  throw new ServiceError(
    'SERVICE_ANSWER_INVALID',
    `${SERVICE} at ${call.url} holds the entry already but does not say where`,
    { status: 409, hint: 'sign again: a new signature makes a new entry' },
  );
}

/** Rekor v1's LogEntry, one entry under its ID, as the protobuf form that bundles carry. */
function parseLogEntry(call: HttpRequest, json: Json): TransparencyLogEntry {
  return readAnswer(call, () => {
    const answer = new Fields(json, '', 'ENTRY_INVALID');
    const [id, ...others] = answer.keys();
    if (id === undefined || others.length > 0) throw answer.fail(id ?? '', 'expected exactly one entry');
    const entry = answer.object(id);
    const canonicalizedBody = parseBase64(entry.string('body'));
    const { kind, version } = parseEntryBody(canonicalizedBody);
    const verification = entry.object('verification');
    const proof = verification.object('inclusionProof');
    const integratedTime = entry.bigint('integratedTime', MAX_LOG_SIZE);
    return {
      logIndex: entry.bigint('logIndex', MAX_LOG_SIZE),
      logId: parseHex(entry.string('logID')),
      kindVersion: { kind, version },
      integratedTime: integratedTime === 0n ? undefined : integratedTime,
      inclusionPromise: verification.optionalBytes('signedEntryTimestamp'),
      inclusionProof: {
        // Within the shard; the outer index counts over all shards.
        logIndex: proof.bigint('logIndex', MAX_LOG_SIZE),
        rootHash: parseHex(proof.string('rootHash')),
        treeSize: proof.bigint('treeSize', MAX_LOG_SIZE),
        hashes: proof.array('hashes', MAX_PROOF_HASHES).map((hash, i) => {
          if (typeof hash !== 'string') throw proof.fail(`hashes[${i}]`, 'expected a string');
          return parseHex(hash);
        }),
        checkpoint: proof.string('checkpoint'),
      },
      canonicalizedBody,
    };
  });
}
