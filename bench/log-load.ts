// One run of load, in a process of its own: log-load.ts URL DIALECT CLIENTS ENTRIES [certificates]. Requests are made and
// signed before the clock starts; every answer has to be 2xx and to hold an inclusion proof. Prints one line of JSON.
import { connect, type Socket } from 'bun';
import { certificateSigner, type Dialect, keySigner, request } from './log-entries.ts';
import { percentile } from './report.ts';

export interface LoadResult {
  readonly entries: number;
  readonly failed: number;
  readonly firstFailure: string | undefined;
  readonly seconds: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const [url = '', dialect = 'v2', clientsText = '1', entriesText = '1', kind] = process.argv.slice(2);
const clients = Number(clientsText);
const entries = Number(entriesText);
const { hostname, port } = new URL(url);
const path = `/api/${dialect}/log/entries`;

const shared = keySigner();
const requests = Array.from({ length: entries }, (_, i) => {
  const body = request(dialect as Dialect, kind === 'certificates' ? certificateSigner(i) : shared);
  const head = `POST ${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Type: application/json\r\n`;
  return `${head}Accept: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
});

const times: number[] = [];
let next = 0;
let failed = 0;
let firstFailure: string | undefined;
const fail = (what: string): void => {
  failed++;
  firstFailure ??= what.slice(0, 400);
};

/** The length of the answer at the beginning of the text, once all of it is there. */
function answerLength(text: string): number | undefined {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return undefined;
  const headers = text.slice(0, head).toLowerCase();
  const length = /\r\ncontent-length: *(\d+)/.exec(headers)?.[1];
  if (length !== undefined) {
    const end = head + 4 + Number(length);
    return text.length >= end ? end : undefined;
  }
  // Chunked: one answer at a time is under way, so it ends where the text does.
  return text.endsWith('\r\n0\r\n\r\n') ? text.length : undefined;
}

interface Client {
  sent: number;
  received: string;
  ended: () => void;
}

function send(socket: Socket<Client>): void {
  const index = next++;
  if (index >= requests.length) {
    socket.end();
    socket.data.ended();
    return;
  }
  socket.data.sent = performance.now();
  const text = requests[index] as string;
  const written = socket.write(text);
  if (written < text.length) throw new Error('the socket takes no whole request');
}

const open = (): Promise<void> =>
  new Promise((resolve, reject) => {
    void connect<Client>({
      hostname,
      port: Number(port),
      data: { sent: 0, received: '', ended: resolve },
      socket: {
        open: send,
        data(socket, bytes) {
          const client = socket.data;
          client.received += bytes.toString('latin1');
          const length = answerLength(client.received);
          if (length === undefined) return;
          const answer = client.received.slice(0, length);
          client.received = '';
          times.push(performance.now() - client.sent);
          if (!/^HTTP\/1\.1 2\d\d/.test(answer) || !answer.includes('"inclusionProof"')) fail(answer);
          send(socket);
        },
        close(socket) {
          if (next < requests.length) fail('the server closed the connection');
          socket.data.ended();
        },
        error: (_, error) => reject(error),
        connectError: (_, error) => reject(error),
      },
    });
  });

const started = performance.now();
await Promise.all(Array.from({ length: clients }, open));
const seconds = (performance.now() - started) / 1000;
const result: LoadResult = {
  entries,
  failed,
  firstFailure,
  seconds,
  perSecond: (entries - failed) / seconds,
  p50: percentile(times, 0.5),
  p99: percentile(times, 0.99),
  max: times.reduce((a, b) => Math.max(a, b), 0),
};
console.log(JSON.stringify(result));
