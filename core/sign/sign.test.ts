import { describe, expect, test } from 'bun:test';
import { type Bundle, parseBundle, serializeBundle } from '../bundle/bundle.ts';
import { parseEntryBody } from '../bundle/entry.ts';
import { serializeUtf8 } from '../bytes/bytes.ts';
import type { KeyKind } from '../crypto/algorithms.ts';
import { generateKey } from '../crypto/private-key.ts';
import { rejectionOf } from '../testing.ts';
import { parseIdentityToken } from './identity-token.ts';
import { signArtifact, signStatement } from './sign.ts';
import { identitySigner, keySigner, type Signer } from './signer.ts';
import { type Flaws, fakeSigstore } from './testing.ts';

const ARTIFACT = serializeUtf8('hello, world\n');
const DIGEST = new Uint8Array(new Bun.CryptoHasher('sha256').update(ARTIFACT).digest());
const STATEMENT = serializeUtf8(
  JSON.stringify({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'hello', digest: { sha256: Buffer.from(DIGEST).toString('hex') } }],
    predicateType: 'https://example.com/p',
    predicate: {},
  }),
);

type Sigstore = ReturnType<typeof fakeSigstore>;

async function login(sigstore: Sigstore, claims: object = {}): Promise<Signer> {
  return identitySigner({
    http: sigstore.http,
    certificateAuthority: sigstore.services().certificateAuthority,
    trustedRoot: sigstore.trustedRoot,
    token: async () => parseIdentityToken(sigstore.token(claims)),
  });
}

const context = (sigstore: Sigstore, version: 1 | 2 = 1) => ({
  http: sigstore.http,
  services: sigstore.services(version),
  trustedRoot: sigstore.trustedRoot,
});

async function signFile(flaws: Flaws = {}, version: 1 | 2 = 1): Promise<Bundle> {
  const sigstore = fakeSigstore(flaws);
  return (await signArtifact([ARTIFACT], await login(sigstore), context(sigstore, version))).bundle;
}

describe('a file', () => {
  for (const version of [1, 2] as const) {
    test(`signed with an identity, logged in Rekor v${version}`, async () => {
      const sigstore = fakeSigstore();
      const { bundle, verified } = await signArtifact([ARTIFACT], await login(sigstore), context(sigstore, version));
      expect(verified.signer).toMatchObject({
        kind: 'certificate',
        subjectAlternativeName: 'a@b.example',
        issuer: 'https://issuer.example',
      });
      expect(verified.artifact).toEqual({ hash: 'sha256', digest: DIGEST });
      expect(verified.times.map(({ source }) => source)).toEqual(
        version === 1 ? ['timestamp authority', 'log'] : ['timestamp authority'],
      );
      expect(bundle.tlogEntries[0]?.kindVersion).toEqual({ kind: 'hashedrekord', version: `0.0.${version}` });
      expect(parseBundle(serializeUtf8(serializeBundle(bundle)))).toEqual(bundle);
    });
  }

  test('in pieces is signed as one', async () => {
    const sigstore = fakeSigstore();
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (const byte of ARTIFACT) yield Uint8Array.of(byte);
    }
    const signed = await signArtifact(pieces(), await login(sigstore), context(sigstore));
    expect(signed.digest).toEqual(DIGEST);
  });

  for (const kind of ['p256', 'p384', 'p521', 'ed25519', 'rsa'] as KeyKind[]) {
    for (const version of [1, 2] as const) {
      test(`signed with a ${kind} key, logged in Rekor v${version}`, async () => {
        const sigstore = fakeSigstore();
        const key = generateKey(kind, 2048);
        const { bundle } = await signArtifact([ARTIFACT], keySigner(key), context(sigstore, version));
        const hint = new Bun.CryptoHasher('sha256').update(key.publicKey.spki).digest('base64');
        expect(bundle.material).toEqual({ kind: 'publicKey', hint });
        expect(sigstore.calls).not.toContain('POST /api/v2/signingCert');
      });
    }
  }
});

describe('a statement', () => {
  for (const version of [1, 2] as const) {
    test(`signed with an identity, logged in Rekor v${version}`, async () => {
      const sigstore = fakeSigstore();
      const artifact = { digests: { sha256: DIGEST } };
      const { bundle, verified } = await signStatement(
        STATEMENT,
        artifact,
        await login(sigstore),
        context(sigstore, version),
      );
      expect(verified.statement?.predicateType).toBe('https://example.com/p');
      const body = parseEntryBody(bundle.tlogEntries[0]?.canonicalizedBody ?? new Uint8Array());
      expect(`${body.kind} ${body.version}`).toBe(version === 1 ? 'dsse 0.0.1' : 'hashedrekord 0.0.2');
    });

    test(`signed with an Ed25519 key, logged in Rekor v${version}`, async () => {
      const sigstore = fakeSigstore();
      const signer = keySigner(generateKey('ed25519'));
      await signStatement(STATEMENT, { digests: { sha256: DIGEST } }, signer, context(sigstore, version));
    });
  }

  const refused: Record<string, [Uint8Array, Uint8Array]> = {
    'about another artifact': [STATEMENT, new Uint8Array(32)],
    'that is none': [serializeUtf8('{}'), DIGEST],
  };
  for (const [flaw, [statement, sha256]] of Object.entries(refused)) {
    test(`${flaw} is refused before any request`, async () => {
      const sigstore = fakeSigstore();
      const signing = signStatement(statement, { digests: { sha256 } }, await login(sigstore), context(sigstore));
      expect((await rejectionOf(signing)).code).toBe('STATEMENT_INVALID');
      expect(sigstore.calls).toEqual([]);
    });
  }
});

describe('several files', () => {
  test('share one login, key and certificate', async () => {
    const sigstore = fakeSigstore();
    const signer = await login(sigstore);
    const bundles = await Promise.all(
      ['a', 'b', 'c'].map((text) => signArtifact([serializeUtf8(text)], signer, context(sigstore))),
    );
    expect(sigstore.calls.filter((call) => call === 'POST /api/v2/signingCert').length).toBe(1);
    const materials = new Set(bundles.map(({ bundle }) => JSON.stringify(bundle.material)));
    expect(materials.size).toBe(1);
  });

  test('get a new certificate for the same key when the old one is about to end', async () => {
    const sigstore = fakeSigstore();
    const signer = await login(sigstore);
    const first = await signer.credential();
    sigstore.clock.now = new Date(sigstore.clock.now.getTime() + 8 * 60_000);
    expect((await signer.credential()).certificate).toBe(first.certificate);
    sigstore.clock.now = new Date(sigstore.clock.now.getTime() + 61_000);
    const second = await signer.credential();
    expect(second.certificate).not.toBe(first.certificate);
    expect(second.certificate?.publicKey.spki).toEqual(first.key.publicKey.spki);
  });

  test('a certificate that ends while a slow input is read is renewed', async () => {
    const sigstore = fakeSigstore();
    async function* slow(): AsyncGenerator<Uint8Array> {
      sigstore.clock.now = new Date(sigstore.clock.now.getTime() + 3600_000);
      yield ARTIFACT;
    }
    await signArtifact(slow(), await login(sigstore), context(sigstore));
    expect(sigstore.calls.filter((call) => call === 'POST /api/v2/signingCert').length).toBe(2);
  });

  test('a failed login is not remembered', async () => {
    const sigstore = fakeSigstore({
      instead: { '/api/v2/signingCert': (count) => (count === 1 ? new Response('', { status: 403 }) : undefined) },
    });
    const signer = await login(sigstore);
    expect((await rejectionOf(signer.credential())).code).toBe('SERVICE_REFUSED');
    expect((await signer.credential()).certificate).toBeDefined();
  });
});

describe('an identity', () => {
  test('without email signs as its subject', async () => {
    const sigstore = fakeSigstore();
    const claims = { email: undefined, sub: 'https://ci.example/job' };
    const { verified } = await signArtifact([ARTIFACT], await login(sigstore, claims), context(sigstore));
    expect(verified.signer).toMatchObject({ subjectAlternativeName: 'https://ci.example/job' });
  });

  test('whose token has expired is told before any request', async () => {
    const sigstore = fakeSigstore();
    const signer = await login(sigstore, { exp: 1 });
    expect((await rejectionOf(signer.credential())).code).toBe('IDENTITY_TOKEN_EXPIRED');
    expect(sigstore.calls).toEqual([]);
  });

  test('whose token the authority refuses is told to get another', async () => {
    const message = 'There was an error processing the identity token';
    const refused = () => Response.json({ code: 3, message }, { status: 400 });
    const error = await rejectionOf(signFile({ instead: { '/api/v2/signingCert': refused } }));
    expect(error.code).toBe('IDENTITY_TOKEN_INVALID');
    expect(error.hint).toContain('https://issuer.example');
  });
});

describe('nothing is signed with a certificate', () => {
  const rejected: Record<string, [NonNullable<Flaws['certificate']>, string]> = {
    'for another key': [{ key: generateKey('p256').publicKey }, 'SERVICE_ANSWER_INVALID'],
    'for another identity': [{ name: { kind: 'email', value: 'mallory@b.example' } }, 'SERVICE_ANSWER_INVALID'],
    'of another OIDC issuer': [{ oidcIssuer: 'https://evil.example' }, 'SERVICE_ANSWER_INVALID'],
    'without an SCT': [{ withoutSct: true }, 'SCT_MISSING'],
    'with an SCT of an unknown log': [{ foreignCt: true }, 'SCT_INVALID'],
    'of an authority that is not trusted': [{ foreignCa: true }, 'CERTIFICATE_UNTRUSTED'],
  };
  for (const [flaw, [certificate, code]] of Object.entries(rejected)) {
    test(flaw, async () => {
      const sigstore = fakeSigstore({ certificate });
      const error = await rejectionOf(signArtifact([ARTIFACT], await login(sigstore), context(sigstore)));
      expect(error.code).toBe(code as never);
      expect(sigstore.calls).toEqual(['POST /api/v2/signingCert']);
    });
  }

  test('that comes with a detached SCT', async () => {
    const detached = () => Response.json({ signedCertificateDetachedSct: { chain: { certificates: [] } } });
    const error = await rejectionOf(signFile({ instead: { '/api/v2/signingCert': detached } }));
    expect(error.code).toBe('SERVICE_ANSWER_INVALID');
  });
});

describe('no bundle with a timestamp', () => {
  const rejected: Record<string, [NonNullable<Flaws['timestamp']>, string]> = {
    'that answers another request': [{ nonce: 1n }, 'SERVICE_ANSWER_INVALID'],
    'over other bytes': [{ digest: new Uint8Array(32) }, 'TIMESTAMP_MISMATCH'],
    'of an authority that is not trusted': [{ foreign: true }, 'TIMESTAMP_UNTRUSTED'],
    'from after the certificate ended': [{ time: new Date('2026-11-20T13:00:00Z') }, 'TIMESTAMP_OUTSIDE_VALIDITY'],
  };
  for (const [flaw, [timestamp, code]] of Object.entries(rejected)) {
    test(flaw, async () => expect((await rejectionOf(signFile({ timestamp }))).code).toBe(code as never));
  }

  test('that is none', async () => {
    const error = await rejectionOf(signFile({ instead: { '/api/v1/timestamp': () => new Response('no') } }));
    expect(error.code).toBe('SERVICE_ANSWER_INVALID');
  });
});

describe('no bundle with a log entry', () => {
  const replace = (what: string | RegExp, by: string) => (body: Uint8Array) =>
    serializeUtf8(Buffer.from(body).toString().replace(what, by));
  const rejected: Record<string, [Flaws, string]> = {
    'about another artifact': [
      { body: replace(Buffer.from(DIGEST).toString('hex'), '0'.repeat(64)) },
      'DIGEST_MISMATCH',
    ],
    'with another signature': [{ body: replace(/"content":"M[^"]*"/, '"content":"AAAA"') }, 'LOG_ENTRY_MISMATCH'],
    'of an unknown log': [{ entry: (entry) => ({ ...entry, logId: new Uint8Array(32) }) }, 'LOG_UNKNOWN'],
    'whose promise is not signed': [
      { entry: (entry) => ({ ...entry, inclusionPromise: new Uint8Array(70) }) },
      'SET_INVALID',
    ],
    'whose proof is wrong': [
      {
        entry: (entry) => ({
          ...entry,
          inclusionProof: entry.inclusionProof && { ...entry.inclusionProof, hashes: [new Uint8Array(32)] },
        }),
      },
      'INCLUSION_PROOF_WRONG',
    ],
  };
  for (const [flaw, [flaws, code]] of Object.entries(rejected)) {
    test(flaw, async () => {
      const error = await rejectionOf(signFile(flaws));
      expect(error.code).toBe(code as never);
      expect(error.message).toStartWith('the signature was made but does not verify, so no bundle is written');
    });
  }

  test('that is two', async () => {
    const two = () => Response.json({ a: {}, b: {} }, { status: 201 });
    const error = await rejectionOf(signFile({ instead: { '/api/v1/log/entries': two } }));
    expect(error.code).toBe('SERVICE_ANSWER_INVALID');
  });
});

describe('a log that has the entry already', () => {
  test('gives it: 409 is success (Rekor v1)', async () => {
    const sigstore = fakeSigstore();
    const { fetch } = sigstore.http;
    let asked = 0;
    // The first answer is lost on the way, after the log took the entry.
    const http = {
      ...sigstore.http,
      fetch: async (url: string, init?: RequestInit) => {
        const answer = await fetch(url, init);
        if (url.endsWith('/log/entries') && asked++ === 0) throw new Error('connection reset');
        return answer;
      },
    };
    const { bundle } = await signArtifact([ARTIFACT], await login(sigstore), { ...context(sigstore), http });
    expect(bundle.tlogEntries.length).toBe(1);
    expect(sigstore.calls.at(-1)).toMatch(/^GET \/api\/v1\/log\/entries\/[0-9a-f]{80}$/);
  });

  test('but does not say where is an error', async () => {
    const conflict = () => new Response('', { status: 409, headers: { location: 'https://evil.example/x' } });
    const sigstore = fakeSigstore({ instead: { '/api/v1/log/entries': conflict } });
    const error = await rejectionOf(signArtifact([ARTIFACT], await login(sigstore), context(sigstore)));
    expect(error.code).toBe('SERVICE_ANSWER_INVALID');
    expect(error.hint).toContain('sign again');
  });

  test('gives its index: the entry is put together from the tiles (Rekor v2)', async () => {
    let checkpoint = '';
    const flaws: Flaws = {
      // The entry is taken, but the answer says only where.
      entry: (entry) => {
        checkpoint = entry.inclusionProof?.checkpoint ?? '';
        return entry;
      },
      instead: { '/api/v2/checkpoint': () => new Response(checkpoint) },
    };
    const sigstore = fakeSigstore(flaws);
    const http = {
      ...sigstore.http,
      fetch: async (url: string, init?: RequestInit) => {
        const answer = await sigstore.http.fetch(url, init);
        if (!url.endsWith('/log/entries')) return answer;
        return new Response('', { status: 409, headers: { 'x-log-index': '0' } });
      },
    };
    const { bundle } = await signArtifact([ARTIFACT], await login(sigstore), { ...context(sigstore, 2), http });
    expect(bundle.tlogEntries[0]?.logIndex).toBe(0n);
    expect(sigstore.calls.at(-1)).toBe('GET /api/v2/checkpoint');
  });

  test('and keeps it to itself is an error with its remedy (Rekor v2)', async () => {
    const conflict = () => new Response('{}', { status: 409 });
    const error = await rejectionOf(signFile({ instead: { '/api/v2/log/entries': conflict } }, 2));
    expect(error.hint).toContain('sign again');
  });

  test('but never signs a checkpoint over it is given up (Rekor v2)', async () => {
    const flaws: Flaws = {
      instead: {
        '/api/v2/log/entries': () => new Response('', { status: 409, headers: { 'x-log-index': '7' } }),
        '/api/v2/checkpoint': () =>
          new Response(`sigstore.example\n7\n${'A'.repeat(43)}=\n\n— sigstore.example AAAAAAAA\n`),
      },
    };
    expect((await rejectionOf(signFile(flaws, 2))).message).toContain('does not get to the entry at index 7');
  });
});

test('every service may fail once', async () => {
  const once = (count: number) => (count === 1 ? new Response('', { status: 500 }) : undefined);
  const sigstore = fakeSigstore({
    instead: { '/api/v2/signingCert': once, '/api/v1/timestamp': once, '/api/v1/log/entries': once },
  });
  await signArtifact([ARTIFACT], await login(sigstore), context(sigstore));
  expect(sigstore.slept.length).toBe(3);
});

test('a log in trouble fails the signing with its name', async () => {
  const down = () => new Response('', { status: 503 });
  const error = await rejectionOf(signFile({ instead: { '/api/v1/log/entries': down } }));
  expect(error.message).toStartWith('the transparency log (Rekor v1) at https://sigstore.example');
});
