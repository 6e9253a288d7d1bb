import { InputError } from '../errors.ts';
import { LARGE_BODY_BYTES, MAX_ANSWERS_BYTES, MIN_BODY_BYTES_PER_SECOND, MIN_REQUEST_DEADLINE_MS } from '../limits.ts';
import { type Metrics, SECONDS_BUCKETS } from '../metrics.ts';
import { clientOf, createBodyBudget, createBudget } from './admission.ts';
import { type Handle, jsonResponse, type Peer, watchBody } from './front-end.ts';
import { createRateLimiter, type Rate, retryAfter } from './rate-limit.ts';

export interface DispatchOptions {
  /** Asked in this order. */
  readonly fronts: readonly Handle[];
  readonly metrics: Metrics;
  readonly clock: () => Date;
  /** Milliseconds of any beginning. */
  readonly monotonic: () => number;
  /** Calls `action` after so many milliseconds unless it is cancelled before. */
  readonly timer: (milliseconds: number, action: () => void) => { cancel(): void };
  /** Requests of one client. */
  readonly clientRate: Rate;
  /** Header in which a trusted proxy names the client; undefined: there is no proxy. */
  readonly clientHeader: string | undefined;
  /** Gets the faults that clients are told nothing about. */
  readonly onFault: (error: unknown) => void;
}

/** Methods and kinds of answer that metrics tell apart. */
const METHODS: readonly string[] = ['GET', 'HEAD', 'POST'];
const OTHER = 'other';

/**
 * What every request goes through: rate of the client -> memory for the body -> the front end whose path it is, within a
 * deadline -> metrics. Never rejects. Refuses with 429 or 503, with Retry-After; clients of Sigstore retry both.
 */
export function createDispatch(options: DispatchOptions): (request: Request, peer: Peer) => Promise<Response> {
  const { fronts, metrics, clock, monotonic, timer, clientHeader, onFault } = options;
  const requests = metrics.counter('hallmark_http_requests_total', 'Requests by route, method and status class.', [
    'route',
    'method',
    'status',
  ]);
  const seconds = metrics.histogram('hallmark_http_request_seconds', 'Time to the answer.', SECONDS_BUCKETS, ['route']);
  const refused = metrics.counter('hallmark_http_refused_total', 'Requests refused before a route saw them.', ['why']);
  let inFlight = 0;
  metrics.gauge('hallmark_http_requests_in_flight', 'Requests that wait for their answer.', [], () => [[inFlight]]);
  const limit = createRateLimiter(options.clientRate, clock);
  const bodies = createBodyBudget();
  metrics.gauge('hallmark_http_body_bytes', 'Bytes reserved for request bodies.', [], () => [[bodies.reserved()]]);
  const answers = createBudget(MAX_ANSWERS_BYTES);
  metrics.gauge('hallmark_http_answer_bytes', 'Bytes of large answers that clients have not read yet.', [], () => [
    [answers.reserved()],
  ]);

  return async (request, peer) => {
    const started = monotonic();
    let route = OTHER;
    const matched = (name: string): void => {
      route = name;
    };
    inFlight += 1;
    const response = await admitted(request, { ...peer, matched });
    inFlight -= 1;
    const method = METHODS.includes(request.method) ? request.method : OTHER;
    requests.add(1, route, method, `${Math.floor(response.status / 100)}xx`);
    seconds.observe((monotonic() - started) / 1000, route);
    return response;
  };

  async function admitted(request: Request, peer: Peer): Promise<Response> {
    const client = clientOf(peer.address, peer.loopback, request.headers, clientHeader);
    const wait = client === undefined ? 0 : limit(client);
    // Asked of the headers, for a body that is looked at once as a stream is read slower.
    const hasBody = request.headers.has('content-length') || request.headers.has('transfer-encoding');
    if (wait > 0) return refuse('rate', 429, 'too many requests', wait, hasBody);
    const known: Peer = { ...peer, client, reserveAnswer: (bytes) => answers.reserve(bytes, client) };
    if (!hasBody) return answered(request, known);
    // What has come counts, not what is announced: else a few that send nothing would keep all others out.
    const reservation = bodies.reserve(announcedLength(request), client);
    const full = (): Response => refuse('bodies', 503, 'too many requests at the moment', 1000, true);
    if (!reservation) return full();
    const ended = Promise.withResolvers<Response>();
    let received = 0;
    watchBody(request, (bytes) => {
      received = bytes;
      const fits = bytes <= LARGE_BODY_BYTES || reservation.resize(bytes);
      if (!fits) ended.resolve(full());
      return fits;
    });
    let allowed = MIN_REQUEST_DEADLINE_MS;
    const onDeadline = (): void => {
      const earned = MIN_REQUEST_DEADLINE_MS + (received / MIN_BODY_BYTES_PER_SECOND) * 1000;
      if (earned > allowed) {
        deadline = timer(earned - allowed, onDeadline);
        allowed = earned;
      } else ended.resolve(refuse('deadline', 408, 'the request took too long', undefined, true));
    };
    let deadline = timer(allowed, onDeadline);
    try {
      return await Promise.race([answered(request, known), ended.promise]);
    } finally {
      deadline.cancel();
      reservation.release();
    }
  }

  async function answered(request: Request, peer: Peer): Promise<Response> {
    try {
      const url = URL.parse(request.url);
      if (url === null) return jsonResponse(400, { code: 400, message: 'the request names no host' });
      for (const front of fronts) {
        const response = front(request, url, peer);
        if (response !== undefined) return await response;
      }
      return jsonResponse(404, { code: 404, message: 'not found' });
    } catch (error) {
      // A body that broke off, in most cases: nobody waits for this answer.
      if (error instanceof InputError) return jsonResponse(400, { code: 400, message: error.message });
      onFault(error);
      return jsonResponse(500, { code: 500, message: 'internal error' });
    }
  }

  // A connection with a body on its way is closed, so that nothing of the body is read.
  function refuse(
    why: 'rate' | 'bodies' | 'deadline',
    status: number,
    message: string,
    waitMs: number | undefined,
    close: boolean,
  ): Response {
    refused.add(1, why);
    return jsonResponse(
      status,
      { code: status, message },
      {
        ...(waitMs !== undefined && { 'retry-after': retryAfter(waitMs) }),
        ...(close && { connection: 'close' }),
      },
    );
  }
}

function announcedLength(request: Request): number | undefined {
  const text = request.headers.get('content-length');
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
