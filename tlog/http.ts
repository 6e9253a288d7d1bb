import { InputError, StorageError } from '../core/errors.ts';
import { withinBudget } from '../core/http/answers.ts';
import { type Peer, readBody } from '../core/http/front-end.ts';

/** A request answered with an HTTP error: the message goes to the client as it is. */
export class Refusal extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/** One way in: `path` is matched with the whole path; its groups are passed on. */
export interface Route {
  readonly method: 'GET' | 'POST';
  /** The path as metrics write it, with placeholders in braces. */
  readonly name: string;
  readonly path: RegExp;
  readonly answer: (request: Request, url: URL, groups: readonly string[], peer: Peer) => Promise<Response> | Response;
}

interface Match {
  readonly route: Route;
  readonly groups: readonly string[];
}

/** How a front end words its errors. */
export type ErrorAnswer = (status: number, message: string, headers: Readonly<Record<string, string>>) => Response;

/**
 * Answers a request by the first route that fits; undefined if no route knows the path. What a route throws becomes an
 * answer of the front end's form; `onFault` gets what a client must not see.
 */
export function createDispatcher(
  routes: readonly Route[],
  errorAnswer: ErrorAnswer,
  onFault: (error: unknown) => void,
): (request: Request, url: URL, peer: Peer) => Promise<Response> | undefined {
  return (request, url, peer) => {
    const { pathname } = url;
    const known: Match[] = [];
    for (const route of routes) {
      const match = route.path.exec(pathname);
      if (match) known.push({ route, groups: match.slice(1) });
    }
    const [first] = known;
    if (!first) return undefined;
    peer.matched?.(first.route.name);
    return withOrigin(request, () => answerKnown(request, url, peer, known));
  };

  async function answerKnown(request: Request, url: URL, peer: Peer, known: readonly Match[]): Promise<Response> {
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const found = known.find(({ route }) => route.method === method);
    if (!found) {
      const allow = known.map(({ route }) => route.method).join(', ');
      return errorAnswer(405, 'method not allowed', { Allow: allow });
    }
    peer.matched?.(found.route.name);
    return answer(request, url, found, peer, errorAnswer, onFault);
  }
}

/** A log is public: pages of any origin may read and write it, without credentials (Fetch standard, CORS protocol). */
async function withOrigin(request: Request, respond: () => Promise<Response>): Promise<Response> {
  const isPreflight = request.method === 'OPTIONS' && request.headers.has('access-control-request-method');
  const response = isPreflight ? new Response(null, { status: 204, headers: PREFLIGHT }) : await respond();
  response.headers.set('Access-Control-Allow-Origin', '*');
  response.headers.set('Access-Control-Expose-Headers', 'ETag, Location');
  return response;
}

const PREFLIGHT = {
  'Access-Control-Allow-Methods': 'GET, HEAD, POST',
  'Access-Control-Allow-Headers': 'Accept, Content-Type, X-Requested-With',
  'Access-Control-Max-Age': '86400',
};

async function answer(
  request: Request,
  url: URL,
  { route, groups }: Match,
  peer: Peer,
  errorAnswer: ErrorAnswer,
  onFault: (error: unknown) => void,
): Promise<Response> {
  try {
    return await withinBudget(peer, await route.answer(request, url, groups, peer));
  } catch (error) {
    if (error instanceof Refusal) return errorAnswer(error.status, error.message, error.headers);
    if (error instanceof InputError) return errorAnswer(400, error.message, {});
    if (error instanceof StorageError) {
      if (error.code !== 'OVERLOADED') onFault(error);
      const message = error.code === 'OVERLOADED' ? error.message : 'the log cannot be used at the moment';
      return errorAnswer(503, message, { 'Retry-After': '1' });
    }
    onFault(error);
    return errorAnswer(500, 'internal error', {});
  }
}

/** The whole body, at most `max` bytes; 413 beyond, 400 if the client broke off. */
export async function requireBody(request: Request, max: number): Promise<Uint8Array> {
  const body = await readBody(request, max);
  if (body === undefined) throw new Refusal(413, `the request is larger than ${max} bytes`);
  return body;
}

/** Hands a value that fits a JSON number to JSON: indexes and sizes of a log stay far below 2^53. */
export function jsonInteger(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new Error('internal: integer beyond the range of JSON numbers');
  return number;
}
