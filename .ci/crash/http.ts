import { Agent, request } from 'node:http';

// As many connections as there are clients, so that 500 signings are 500 requests in flight; each for one request, so that
// none is left over that leads to a server that was killed.
const agent = new Agent({ keepAlive: false, maxSockets: 600 });

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** One request; rejects if the connection ends before the whole answer came, which then counts as no answer. */
export function ask(url: string, json?: unknown): Promise<Answer> {
  const payload = json === undefined ? undefined : JSON.stringify(json);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        agent,
        method: payload === undefined ? 'GET' : 'POST',
        headers: {
          connection: 'close',
          ...(payload !== undefined && {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(payload),
          }),
        },
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('aborted', () => reject(new Error('aborted')));
        incoming.on('end', () =>
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) }),
        );
      },
    );
    outgoing.on('error', reject);
    outgoing.end(payload);
  });
}

/** The JSON of a request that must be answered 200. */
export async function read<T>(url: string): Promise<T> {
  const { status, body } = await ask(url);
  if (status !== 200) throw new Error(`${url} answered ${status}: ${body.toString().slice(0, 200)}`);
  return JSON.parse(body.toString()) as T;
}
