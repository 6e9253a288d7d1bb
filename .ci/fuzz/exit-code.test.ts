// A verifier that crashes must not look like one that accepts (GHSA-7c37-gx6w-8vc5, CVE-2026-44310): the binary ends with a
// refusal, never with 0 and never with a stack trace, whatever it is given.
import { afterAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sharedPath } from '../../core/bytes/shared-data.ts';
import { generateKey } from '../../core/crypto/private-key.ts';
import { serializePublicKeyPem } from '../../core/crypto/public-key.ts';
import { mutateJson } from './mutate-json.ts';
import { randomOf } from './random.ts';
import { bundles } from './seeds.ts';

const binary = process.env['HALLMARK_BINARY'] ?? join(import.meta.dir, '../../dist/hallmark');
const INPUTS = 120;
/** What `hallmark verify` may end with: unusable input, no signature, rejected. */
const REFUSALS = [3, 10, 12];

const folder = mkdtempSync(join(tmpdir(), 'hallmark-exit-'));
afterAll(() => rmSync(folder, { recursive: true }));

const BROKEN = ['', ' ', 'null', '[]', '{}', '"', '{"mediaType":1}', '\ufeff{}', '\0', '<html>', '{"a":'.repeat(9999)];
const SIGNERS = [
  ['--key', 'key.pub'],
  ['--certificate-identity', 'a@example.com', '--certificate-oidc-issuer', 'https://issuer.example.com'],
];

test.skipIf(sharedPath('corpus') === undefined)(
  'malformed bundles end in a refusal',
  async () => {
    const seed = Date.now() % 2 ** 31;
    console.log(`seed ${seed}`);
    writeFileSync(join(folder, 'key.pub'), serializePublicKeyPem(generateKey('p256').publicKey));
    writeFileSync(join(folder, 'artifact'), 'artifact');
    const seeds = bundles();
    const inputs = [
      ...BROKEN.map((text) => Buffer.from(text)),
      ...Array.from({ length: INPUTS }, (_, i) => {
        const random = randomOf(seed, i);
        return mutateJson(random.pick(seeds), random.pick(seeds), random);
      }),
    ];
    const wrong: string[] = [];
    const waiting = inputs.map((input, i) => [input, i] as const);
    const worker = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const [input, i] = next;
        writeFileSync(join(folder, `${i}.json`), input);
        const command = [binary, 'verify', 'artifact', '--bundle', `${i}.json`, ...(SIGNERS[i % 2] ?? [])];
        const run = Bun.spawn(command, {
          cwd: folder,
          env: { HOME: folder },
          stdin: 'ignore',
          stdout: 'pipe',
          stderr: 'pipe',
        });
        const [out, error] = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()]);
        const code = await run.exited;
        const isRefusal = REFUSALS.includes(code) && out === '' && error.includes('hallmark: error: ');
        if (!isRefusal) wrong.push(`input ${i} of seed ${seed}: ended with ${code}: ${out}${error}`);
      }
    };
    await Promise.all([worker(), worker()]);
    expect(wrong).toEqual([]);
  },
  120_000,
);
