// What a log costs before it stores anything: one Bun.serve with the log's own parser, canonical body and digest verification,
// which answers and forgets. log-bare.ts PORT.
import { serializeBase64 } from '../core/bytes/bytes.ts';
import { parseJson } from '../core/bytes/json.ts';
import { createAsyncVerifier } from '../core/crypto/async-verifier.ts';
import { requireProposalV2 } from '../tlog/proposal-v2.ts';

const verifier = createAsyncVerifier();
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.argv[2] ?? 0),
  development: false,
  async fetch(request) {
    if (request.method !== 'POST') return new Response(null, { status: 404 });
    const { body } = await requireProposalV2(parseJson(new Uint8Array(await request.arrayBuffer())), verifier);
    return Response.json({ canonicalizedBody: serializeBase64(body), inclusionProof: null }, { status: 201 });
  },
});
console.log(server.url.href);
