import type { TransparencyLogEntry } from '../bundle/bundle.ts';
import { serializeHashedRekordV001 } from '../bundle/entry.ts';
import { serializeBase64, serializeUtf8 } from '../bytes/bytes.ts';
import { serializeEnvelope } from '../dsse/envelope.ts';
import { ServiceError } from '../errors.ts';
import { type Http, type HttpAnswer, type HttpRequest, joinUrl, parseJsonAnswer, request } from '../http/client.ts';
import { isEntryId, parseLogEntry } from '../log/rekor-v1.ts';
import { type Submission, verifierPem } from './submission.ts';

const SERVICE = 'the transparency log (Rekor v1)';
const TIMEOUT_MS = 30_000;
const ENTRIES = '/api/v1/log/entries';

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
  if (answer.status !== 409) return parseLogEntry(call, parseJsonAnswer(call, answer)).entry;
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
  return parseLogEntry(call, parseJsonAnswer(call, await request(http, call))).entry;
}

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
  if (isEntryId(id)) return id;
  throw new ServiceError(
    'SERVICE_ANSWER_INVALID',
    `${SERVICE} at ${call.url} holds the entry already but does not say where`,
    { status: 409, hint: 'sign again: a new signature makes a new entry' },
  );
}
