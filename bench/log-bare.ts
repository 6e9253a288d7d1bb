// What a log costs before it stores anything: one Bun.serve with the log's own parser, canonical body and digest verification,
// which answers and forgets. log-bare.ts PORT.
import { serializeBase64 } from '../core/bytes/bytes.ts';
import { createAsyncVerifier } from '../core/crypto/async-verifier.ts';
import { createBodyReader } from '../tlog/body-reader.ts';

const bodies = createBodyReader(createAsyncVerifier());
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.argv[2] ?? 0),
  development: false,
  async fetch(request) {
    if (request.method !== 'POST') return new Response(null, { status: 404 });
    const { body } = await bodies.read('proposalV2', new Uint8Array(await request.arrayBuffer()));
    return Response.json({ canonicalizedBody: serializeBase64(body), inclusionProof: null }, { status: 201 });
  },
});
console.log(server.url.href);
