// A complete Sigstore in this process, and the bundles that are made with it: every dialect, kind of content and kind of
// signer, and of each also one of another artifact and one of another signer.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetchDevelopmentToken } from '../../cmd/token.ts';
import type { Bundle } from '../../core/bundle/bundle.ts';
import { serializeHex, serializeUtf8 } from '../../core/bytes/bytes.ts';
import { sha256 } from '../../core/crypto/hash.ts';
import { generateKey, type PrivateKey, parsePrivateKey } from '../../core/crypto/private-key.ts';
import { serializeStatement } from '../../core/dsse/testing.ts';
import type { Http } from '../../core/http/client.ts';
import { parseIdentityToken } from '../../core/sign/identity-token.ts';
import type { SigningServices } from '../../core/sign/services.ts';
import { signArtifact, signStatement } from '../../core/sign/sign.ts';
import { identitySigner, keySigner, type Signer } from '../../core/sign/signer.ts';
import { parseTrustedRoot, type TrustedRoot } from '../../core/trust/trusted-root.ts';
import { wholeArtifact } from '../../core/verify/testing-corpus.ts';
import type { VerifyOptions } from '../../core/verify/verify.ts';
import { createStack } from '../../server.ts';

export interface OwnBundle {
  readonly name: string;
  readonly dialect: 1 | 2;
  readonly kind: 'message' | 'dsse';
  readonly signer: 'alice' | 'mallory' | 'key';
  /** False of those that only lend their fields. */
  readonly changed: boolean;
  readonly bundle: Bundle;
  /** What it is verified with. */
  readonly options: VerifyOptions;
}

export interface OwnStack {
  readonly bundles: readonly OwnBundle[];
  /** The keys of the logs themselves: what a log can do that lies. */
  readonly logKeys: Readonly<Record<1 | 2, PrivateKey>>;
}

const URL_BASE = 'http://127.0.0.1:18080';
const peer = { address: '127.0.0.1', loopback: true };

/** Runs a stack on a directory of its own for as long as it takes to sign with it. */
export async function signWithOwnStack(): Promise<OwnStack> {
  const data = mkdtempSync(join(tmpdir(), 'hallmark-mutation-'));
  const http: Http = {
    clock: () => new Date(),
    random: (n) => crypto.getRandomValues(new Uint8Array(n)),
    sleep: (ms) => Bun.sleep(ms),
    fetch: async (url, init) => stack.handle(new Request(url, init), peer),
  };
  const stack = await createStack(
    { data, publicUrl: URL_BASE, part: 'all', issuers: undefined, exposeDevIssuer: false },
    { clock: http.clock, random: http.random, fetch: http.fetch, log: () => {} },
  );
  try {
    const published = await (await http.fetch(`${URL_BASE}/trusted_root.json`)).arrayBuffer();
    const trustedRoot = parseTrustedRoot(new Uint8Array(published));
    const bundles = await signEverything(http, trustedRoot, stack.devIssuer ?? '');
    const logKey = (name: string): PrivateKey =>
      parsePrivateKey(readFileSync(join(data, 'keys', `${name}.pem`), 'utf8'), undefined);
    return { bundles, logKeys: { 1: logKey('rekor-v1'), 2: logKey('rekor-v2') } };
  } finally {
    await stack.close();
    rmSync(data, { recursive: true });
  }
}

async function signEverything(http: Http, trustedRoot: TrustedRoot, issuer: string): Promise<OwnBundle[]> {
  const login = async (email: string): Promise<Signer> =>
    identitySigner({
      http,
      certificateAuthority: URL_BASE,
      trustedRoot,
      token: async () => parseIdentityToken(await fetchDevelopmentToken(http, issuer, email)),
    });
  const exact = (value: string) => ({ kind: 'exact', value }) as const;
  const identity = (email: string) => ({
    identities: [{ issuer: exact(issuer), subjectAlternativeName: exact(email) }],
  });
  const key = generateKey('p256');
  const signers = [
    { signer: 'alice', by: await login('alice@example.com'), policy: identity('alice@example.com') },
    { signer: 'mallory', by: await login('mallory@example.com'), policy: identity('mallory@example.com') },
    { signer: 'key', by: keySigner(key), policy: { key: key.publicKey } },
  ] as const;

  const bundles: OwnBundle[] = [];
  // The other artifact first: then the logs' trees have leaves beside those of the bundles that are changed.
  for (const artifact of ['another artifact', 'artifact']) {
    for (const { signer, by, policy } of signers) {
      for (const dialect of [1, 2] as const) {
        for (const kind of ['message', 'dsse'] as const) {
          const bytes = serializeUtf8(artifact);
          const services: SigningServices = {
            certificateAuthority: URL_BASE,
            timestampAuthorities: [`${URL_BASE}/api/v1/timestamp`],
            logs: [{ version: dialect, url: URL_BASE }],
          };
          const context = { http, services, trustedRoot };
          const { bundle } =
            kind === 'message'
              ? await signArtifact([bytes], by, context)
              : await signStatement(statementAbout(artifact), wholeArtifact(bytes), by, context);
          bundles.push({
            name: `own ${kind} by ${signer} in Rekor v${dialect} about ${artifact}`,
            dialect,
            kind,
            signer,
            changed: artifact === 'artifact' && signer !== 'mallory',
            bundle,
            options: { trustedRoot, policy, artifact: wholeArtifact(bytes), now: http.clock() },
          });
        }
      }
    }
  }
  return bundles;
}

const statementAbout = (artifact: string): Uint8Array =>
  serializeStatement({
    type: 'https://in-toto.io/Statement/v1',
    subjects: [{ name: 'artifact', digest: { sha256: serializeHex(sha256(serializeUtf8(artifact))) } }],
    predicateType: 'https://example.com/predicate/v1',
    predicate: { builder: 'here' },
  });
