// What is no HTTP, or HTTP that goes on for ever.
import { connect } from 'node:net';
import type { Random } from '../fuzz/random.ts';

/** Longest that one such connection is held, ms. */
const HELD_MS = 700;

const crlf = (...lines: string[]): string => `${lines.join('\r\n')}\r\n`;
const POST = 'POST /api/v1/log/entries HTTP/1.1';

const TEXTS: readonly ((random: Random) => string)[] = [
  (random) => Buffer.from(Array.from({ length: 1 + random.below(2000) }, () => random.below(256))).toString('latin1'),
  () => crlf('GET / HTTP/9.9', 'Host: a', ''),
  () => crlf('GET /healthz HTTP/1.1', ''), // no host
  () => crlf('GET http://[::1 HTTP/1.1', 'Host: [', ''),
  () => crlf(`GET /${'a'.repeat(100_000)} HTTP/1.1`, 'Host: a', ''),
  () => crlf('GET / HTTP/1.1', ...Array.from({ length: 500 }, (_, i) => `X-${i}: ${'v'.repeat(100)}`), ''),
  () => crlf(POST, 'Host: a', 'Content-Length: 99999999999999999999', ''),
  () => crlf(POST, 'Host: a', 'Content-Length: -1', '', 'x'),
  () => crlf(POST, 'Host: a', 'Content-Length: 5', 'Content-Length: 6', '', 'hello'),
  () => crlf(POST, 'Host: a', 'Content-Length: 5', 'Transfer-Encoding: chunked', '', '0', '', ''),
  () => crlf(POST, 'Host: a', 'Transfer-Encoding: chunked', '', 'ffffffffffffffff', 'x'),
  () => crlf(POST, 'Host: a', 'Transfer-Encoding: chunked', '', 'zz', 'x'),
  () => crlf(POST, 'Host: a', 'Transfer-Encoding: gzip, chunked', '', '0', '', ''),
  () => crlf(POST, 'Host: a', 'Content-Length: 24000000', '', '{"kind":"'), // and no more
  () => `${POST}\r\nHost: a\r\nX: `, // headers that do not end
  () => crlf('PRI * HTTP/2.0', '', 'SM', ''),
  () => crlf('GET /api/search?digest=%zz%00%ff HTTP/1.1', 'Host: a', ''),
  () => crlf('GET /tuf/../../etc/passwd HTTP/1.1', 'Host: a', '').repeat(20), // in one go
  () => '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003', // TLS
];

/** Sends one of them, in pieces, reads what comes, and leaves. Resolves whatever happens. */
export function sendNonsense(url: string, random: Random): Promise<void> {
  const { hostname, port } = new URL(url);
  const bytes = Buffer.from(random.pick(TEXTS)(random), 'latin1');
  const pieces = 1 + random.below(4);
  const held = random.below(HELD_MS);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.on('error', () => {});
    socket.on('data', () => {});
    socket.on('connect', () => {
      const size = Math.ceil(bytes.length / pieces);
      for (let i = 0; i < pieces; i++) {
        setTimeout(
          () => !socket.destroyed && socket.write(bytes.subarray(i * size, (i + 1) * size)),
          (i * held) / pieces,
        );
      }
    });
    setTimeout(() => {
      socket.destroy();
      resolve();
    }, held + 20);
  });
}
