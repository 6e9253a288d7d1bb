import { parseUtf8 } from '../bytes/bytes.ts';
import { type Json, parseJson } from '../bytes/json.ts';
import { HallmarkError, ServiceError } from '../errors.ts';
import { MAX_ERROR_ANSWER_BYTES, MAX_SERVICE_ANSWER_BYTES } from '../limits.ts';
import { isTransient, MAX_ATTEMPTS, retryDelay } from './retry.ts';

/** The part of the global `fetch` that Hallmark uses. */
export type FetchLike = (url: string, init?: RequestInit) => Promise<Response>;

/** What talking to services takes from outside. */
export interface Http {
  readonly fetch: FetchLike;
  readonly clock: () => Date;
  readonly random: (bytes: number) => Uint8Array;
  /** Resolves after `ms` milliseconds. */
  readonly sleep: (ms: number) => Promise<void>;
}

export interface HttpRequest {
  /** The service in the words of an error: "the transparency log". */
  readonly service: string;
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array | string;
  /** For one attempt, from the first byte sent to the last one read. */
  readonly timeoutMs: number;
  /** Statuses that the caller understands; every other one is a ServiceError. */
  readonly accept: readonly number[];
  /** Further statuses worth another attempt, e.g. 404 where reads lag behind writes. */
  readonly retry?: readonly number[];
  /** Bytes that an answer with status 2xx may have; MAX_SERVICE_ANSWER_BYTES if absent. */
  readonly maxBytes?: number;
  /** Redirects followed within one origin; MAX_REDIRECTS if absent. */
  readonly maxRedirects?: number;
  /** What to do about a URL that is not the service's; where the signing config is, if absent. */
  readonly wrongUrlHint?: string;
}

/** What an error says about a call. */
type CalledService = Pick<HttpRequest, 'service' | 'url' | 'wrongUrlHint'>;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** Redirects followed; real services use none. */
const MAX_REDIRECTS = 3;
/** Characters of a service's own message that an error repeats. */
const MAX_MESSAGE_CHARS = 300;

/**
 * One call to a service: bounded in time and size, tried again with growing pauses on transport errors, 429 and 5xx and
 * never on another status, redirected only within its origin. Every failure is a ServiceError that names the service,
 * the URL, the status and the remedy.
 */
export async function request(http: Http, call: HttpRequest): Promise<HttpAnswer> {
  requireHttpUrl(call);
  for (let attempt = 1; ; attempt++) {
    const outcome = await attemptOnce(http.fetch, call);
    if (!(outcome instanceof ServiceError)) {
      if (call.accept.includes(outcome.status)) return outcome;
      const again = isTransient(outcome.status) || call.retry?.includes(outcome.status) === true;
      if (!again || attempt === MAX_ATTEMPTS) throw refusal(call, outcome, attempt);
      await pause(http, attempt, outcome.headers.get('retry-after'));
    } else {
      if (outcome.code !== 'SERVICE_UNREACHABLE' || attempt === MAX_ATTEMPTS) throw outcome;
      await pause(http, attempt, null);
    }
  }
}

/** The same with a single attempt, for who has no time to wait. */
export async function requestOnce(fetch: FetchLike, call: HttpRequest): Promise<HttpAnswer> {
  requireHttpUrl(call);
  const outcome = await attemptOnce(fetch, call);
  if (outcome instanceof ServiceError) throw outcome;
  if (!call.accept.includes(outcome.status)) throw refusal(call, outcome, 1);
  return outcome;
}

/** The answer's body as strict JSON; SERVICE_ANSWER_INVALID if it is none. */
export function parseJsonAnswer(call: CalledService, answer: HttpAnswer): Json {
  return readAnswer(call, () => parseJson(answer.body));
}

/** Runs the parser of an answer: what it finds wrong is the service's fault and becomes SERVICE_ANSWER_INVALID. */
export function readAnswer<T>(call: CalledService, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof HallmarkError) || cause instanceof ServiceError) throw cause;
    throw new ServiceError(
      'SERVICE_ANSWER_INVALID',
      `${call.service} at ${call.url} gave an unusable answer: ${cause.message}`,
      { cause, hint: wrongUrlHint(call) },
    );
  }
}

/** Joins a service's base URL, with or without a final slash, and a path that begins with one. */
export function joinUrl(base: string, path: string): string {
  return `${base.replace(/\/+$/, '')}${path}`;
}

async function pause(http: Http, attempt: number, retryAfter: string | null): Promise<void> {
  const random = (): number => new DataView(http.random(4).slice().buffer).getUint32(0) / 2 ** 32;
  await http.sleep(retryDelay(attempt, retryAfter, http.clock(), random));
}

// One attempt with its redirects. Failures come back as values: the loop above decides what is tried again.
async function attemptOnce(fetch: FetchLike, call: HttpRequest): Promise<HttpAnswer | ServiceError> {
  const signal = AbortSignal.timeout(call.timeoutMs);
  let { url } = call;
  for (let redirects = 0; ; redirects++) {
    try {
      const response = await fetch(url, {
        method: call.method,
        redirect: 'manual',
        signal,
        ...(call.headers && { headers: call.headers }),
        ...(call.body !== undefined && { body: call.body as NonNullable<RequestInit['body']> }),
      });
      if (!isRedirect(response.status)) {
        return { status: response.status, headers: response.headers, body: await readBounded(call, response) };
      }
      await response.body?.cancel();
      url = redirectTarget(call, url, response, redirects);
    } catch (cause) {
      if (cause instanceof ServiceError) return cause;
      return unreachable(call, signal.aborted ? `no answer within ${call.timeoutMs / 1000} s` : reason(cause), cause);
    }
  }
}

const isRedirect = (status: number): boolean => [301, 302, 303, 307, 308].includes(status);

// A redirect may not carry a token to another computer, nor answer a POST with a page (RFC 9110 §15.4).
function redirectTarget(call: HttpRequest, from: string, response: Response, redirects: number): string {
  const refuse = (problem: string): ServiceError =>
    new ServiceError('SERVICE_REFUSED', `${call.service} at ${call.url} answered ${response.status}: ${problem}`, {
      status: response.status,
      hint: call.wrongUrlHint ?? 'name the service by its final URL in the signing config',
    });
  const location = response.headers.get('location');
  if (location === null || !URL.canParse(location, from)) throw refuse('a redirect to nowhere');
  const target = new URL(location, from);
  if (target.origin !== new URL(from).origin)
    throw refuse(`a redirect to another host, ${target.origin}, is not followed`);
  if (call.method === 'POST' && response.status !== 307 && response.status !== 308)
    throw refuse('a redirect that would turn the request into a GET is not followed');
  const max = call.maxRedirects ?? MAX_REDIRECTS;
  if (redirects >= max) throw refuse(`more than ${max} redirects are not followed`);
  return target.href;
}

async function readBounded(call: HttpRequest, response: Response): Promise<Uint8Array> {
  // The page that comes with an error has no relation to the size of what was asked for.
  const max = response.ok ? (call.maxBytes ?? MAX_SERVICE_ANSWER_BYTES) : MAX_ERROR_ANSWER_BYTES;
  const tooLarge = (): ServiceError =>
    new ServiceError(
      'SERVICE_ANSWER_INVALID',
      `${call.service} at ${call.url} gave an answer of more than ${max} bytes`,
      { status: response.status, hint: wrongUrlHint(call) },
    );
  if (Number(response.headers.get('content-length') ?? 0) > max) {
    await response.body?.cancel();
    throw tooLarge();
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop by an error cancels the stream.
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > max) throw tooLarge();
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks, length));
}

function requireHttpUrl({ service, url, wrongUrlHint }: HttpRequest): void {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return;
  const problem = `${service} has no usable URL: ${JSON.stringify(url.slice(0, 200))}`;
  throw new ServiceError('SERVICE_UNREACHABLE', problem, {
    hint: wrongUrlHint ?? 'correct the URL in the signing config: http:// or https://',
  });
}

function unreachable(call: HttpRequest, problem: string, cause: unknown): ServiceError {
  return new ServiceError('SERVICE_UNREACHABLE', `${call.service} at ${call.url} cannot be reached: ${problem}`, {
    cause,
    hint: `is it running, and does this computer reach it? curl -v ${new URL(call.url).origin}/`,
  });
}

// Clients put the useful word ("ECONNREFUSED", a certificate problem) into the message or one level down.
function reason(cause: unknown): string {
  const { code, message, cause: inner } = cause as { code?: unknown; message?: unknown; cause?: unknown };
  const deeper = inner instanceof Error ? reason(inner) : '';
  const parts = [message, code, deeper].filter((part) => typeof part === 'string' && part !== '') as string[];
  const distinct = parts.filter((part, i) => !parts.some((other, j) => j < i && other.includes(part)));
  return printable(distinct.join(', ')) || 'transport error';
}

function refusal(call: HttpRequest, answer: HttpAnswer, attempts: number): ServiceError {
  const said = serviceMessage(answer.body);
  const tried = attempts > 1 ? ` (${attempts} attempts)` : '';
  return new ServiceError(
    'SERVICE_REFUSED',
    `${call.service} at ${call.url} answered ${answer.status}${said === '' ? '' : `: ${said}`}${tried}`,
    { status: answer.status, hint: remedy(call, answer.status) },
  );
}

function remedy(call: HttpRequest, status: number): string {
  if (status === 429) return `${call.service} limits how often it is asked; wait a little and run the command again`;
  if (status >= 500) return `${call.service} is in trouble; run the command again later or choose another with --trust`;
  if (status === 404 || status === 405) return wrongUrlHint(call);
  if (status === 413) return 'the request is larger than the service takes';
  return 'the request was refused for what it says; trying again does not help';
}

function wrongUrlHint(call: CalledService): string {
  const where = 'See the signing config in use with: hallmark trust show';
  return call.wrongUrlHint ?? `is ${call.url} really ${call.service}? ${where}`;
}

/** What the service itself says about a refusal: `message` of gRPC gateways and Rekor, `error_description` of OAuth, or the plain text. */
function serviceMessage(body: Uint8Array): string {
  try {
    const text = parseUtf8(body.subarray(0, 64 * 1024));
    if (!text.trimStart().startsWith('{')) return text.trimStart().startsWith('<') ? '' : printable(text);
    const fields = parseJson(text) as Record<string, Json>;
    for (const key of ['message', 'error_description', 'error']) {
      const value = fields[key];
      if (typeof value === 'string' && value !== '') return printable(value);
    }
  } catch {
    // What is not understood is not repeated: the status stands alone.
  }
  return '';
}

function printable(text: string): string {
  return text
    .replace(/[^\x21-\x7e]+/g, ' ')
    .trim()
    .slice(0, MAX_MESSAGE_CHARS);
}
