import { describe, expect, test } from 'bun:test';
import { createHmac } from 'node:crypto';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import type { KeyKind } from '../core/crypto/algorithms.ts';
import { generateKey, type PrivateKey } from '../core/crypto/private-key.ts';
import { serializePublicKeyPem } from '../core/crypto/public-key.ts';
import { HallmarkError } from '../core/errors.ts';
import type { FetchLike } from '../core/http/client.ts';
import { createIssuerKeys } from './issuer-keys.ts';
import { type Issuer, issuerTable } from './issuers.ts';
import { signToken } from './testing.ts';
import { verifyIdentityToken } from './token.ts';

const NOW = new Date('2026-03-01T12:00:00Z');
const SECONDS = NOW.getTime() / 1000;
const URL_ = 'https://issuer.example/realm';
const ISSUER: Issuer = { url: URL_, audience: 'sigstore', type: 'email', emailVerification: 'required' };

const keys: Record<'rsa' | 'p256' | 'ed25519' | 'stranger', PrivateKey> = {
  rsa: generateKey('rsa', 2048),
  p256: generateKey('p256'),
  ed25519: generateKey('ed25519'),
  stranger: generateKey('rsa', 2048),
};
const ALG: Partial<Record<KeyKind, string>> = { rsa: 'RS256', p256: 'ES256', ed25519: 'EdDSA' };

const CLAIMS = { iss: URL_, sub: 'subject', aud: 'sigstore', iat: SECONDS, nbf: SECONDS, exp: SECONDS + 60 };

const jwk = (key: PrivateKey, kid?: string): Record<string, unknown> => ({
  ...key.publicKey.native.export({ format: 'jwk' }),
  ...(kid !== undefined && { kid }),
});

interface Remote {
  fetch: FetchLike;
  fetched: string[];
  documents: Record<string, unknown>;
}

/** The issuer's web server: its documents by URL, each an object or a Response. */
function remote(jwks: unknown[], changes: Record<string, unknown> = {}): Remote {
  const fetched: string[] = [];
  const documents: Record<string, unknown> = {
    [`${URL_}/.well-known/openid-configuration`]: {
      issuer: URL_,
      jwks_uri: 'https://keys.example/jwks',
      id_token_signing_alg_values_supported: ['RS256', 'ES256', 'EdDSA', 'HS256', 'none'],
      ...changes,
    },
    'https://keys.example/jwks': { keys: jwks },
  };
  return {
    fetched,
    documents,
    fetch: async (url, init) => {
      fetched.push(url);
      expect(init?.redirect).toBe('manual');
      expect(init?.signal).toBeInstanceOf(AbortSignal);
      const found = documents[url];
      if (found === undefined) throw new Error('connection refused');
      return found instanceof Response ? found : Response.json(found);
    },
  };
}

function verifier(r: Remote, state: { now: Date } = { now: NOW }) {
  const issuerKeys = createIssuerKeys({ fetch: r.fetch, clock: () => state.now });
  return (token: string) => verifyIdentityToken(token, issuerTable([ISSUER]), issuerKeys, state.now);
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof HallmarkError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

const good = () => remote([jwk(keys.rsa, 'one')]);
const token = (claims: object = CLAIMS, header: object = {}, key = keys.rsa): string =>
  signToken(key, { alg: ALG[key.publicKey.kind], ...header }, claims);

describe('identity tokens that are accepted', () => {
  for (const kind of ['rsa', 'p256', 'ed25519'] as const)
    test(`signed with ${ALG[kind]}`, async () => {
      const verified = await verifier(remote([jwk(keys[kind], 'one')]))(token(CLAIMS, { kid: 'one' }, keys[kind]));
      expect(verified).toMatchObject({ tokenSubject: 'subject', issuer: ISSUER });
    });
  test('audience in a list', async () => {
    await verifier(good())(token({ ...CLAIMS, aud: ['other', 'sigstore'] }));
  });
  test('not before up to five minutes ahead', async () => {
    await verifier(good())(token({ ...CLAIMS, nbf: SECONDS + 300, iat: SECONDS + 300 }));
  });
  test('without a key ID every key that fits is tried', async () => {
    await verifier(remote([jwk(keys.stranger), jwk(keys.p256), jwk(keys.rsa)]))(token());
  });
  test('keys are fetched once', async () => {
    const r = good();
    const verify = verifier(r);
    await Promise.all([verify(token()), verify(token())]);
    await verify(token());
    expect(r.fetched).toEqual([`${URL_}/.well-known/openid-configuration`, 'https://keys.example/jwks']);
  });
  test('a new key of the issuer is found, after a pause', async () => {
    const r = good();
    const state = { now: NOW };
    const verify = verifier(r, state);
    await verify(token());
    r.documents['https://keys.example/jwks'] = { keys: [jwk(keys.rsa, 'one'), jwk(keys.p256, 'two')] };
    const rotated = token(CLAIMS, { kid: 'two' }, keys.p256);
    expect(await codeOf(verify(rotated))).toStartWith('IDENTITY_TOKEN_INVALID');
    expect(r.fetched).toHaveLength(2);
    state.now = new Date(NOW.getTime() + 30_000);
    await verify(rotated);
  });
  test('a withdrawn key stops counting after ten minutes', async () => {
    const r = good();
    const state = { now: NOW };
    const verify = verifier(r, state);
    const long = token({ ...CLAIMS, exp: SECONDS + 3600 }, { kid: 'one' });
    await verify(long);
    r.documents['https://keys.example/jwks'] = { keys: [jwk(keys.p256, 'two')] };
    await verify(long);
    state.now = new Date(NOW.getTime() + 600_000);
    expect(await codeOf(verify(long))).toStartWith('IDENTITY_TOKEN_INVALID');
  });
});

describe('identity tokens that are refused', () => {
  const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify(CLAIMS)).toString('base64url')}.`;
  function hmacToken(): string {
    const content = `${Buffer.from('{"alg":"HS256"}').toString('base64url')}.${token().split('.')[1]}`;
    const secret = serializeUtf8(serializePublicKeyPem(keys.rsa.publicKey));
    return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`;
  }
  const [head, body, signature] = token().split('.') as [string, string, string];
  const flaws: [flaw: string, token: string, code: string][] = [
    ['none given', '', 'IDENTITY_TOKEN_MISSING'],
    ['expired', token({ ...CLAIMS, exp: SECONDS }), 'IDENTITY_TOKEN_EXPIRED'],
    ['without expiry', token({ ...CLAIMS, exp: undefined }), 'IDENTITY_TOKEN_INVALID'],
    ['expiry as text', token({ ...CLAIMS, exp: '9999999999' }), 'IDENTITY_TOKEN_INVALID'],
    ['not valid yet', token({ ...CLAIMS, nbf: SECONDS + 301 }), 'IDENTITY_TOKEN_INVALID'],
    ['issued in the future', token({ ...CLAIMS, iat: SECONDS + 301 }), 'IDENTITY_TOKEN_INVALID'],
    ['wrong audience', token({ ...CLAIMS, aud: 'other' }), 'IDENTITY_TOKEN_INVALID'],
    ['audience that only begins alike', token({ ...CLAIMS, aud: ['sigstore-x'] }), 'IDENTITY_TOKEN_INVALID'],
    ['no audience', token({ ...CLAIMS, aud: undefined }), 'IDENTITY_TOKEN_INVALID'],
    ['a token subject with a lone surrogate', token({ ...CLAIMS, sub: 'a\ud800' }), 'IDENTITY_TOKEN_INVALID'],
    ['no token subject', token({ ...CLAIMS, sub: undefined }), 'IDENTITY_TOKEN_INVALID'],
    ['algorithm none', none, 'IDENTITY_TOKEN_INVALID'],
    ['HS256 with the public key as secret', hmacToken(), 'IDENTITY_TOKEN_INVALID'],
    ['signed by somebody else', token(CLAIMS, {}, keys.stranger), 'IDENTITY_TOKEN_INVALID'],
    [
      'payload changed after signing',
      `${head}.${token({ ...CLAIMS, sub: 'other' }).split('.')[1]}.${signature}`,
      'IDENTITY_TOKEN_INVALID',
    ],
    ['signature cut off', `${head}.${body}.`, 'IDENTITY_TOKEN_INVALID'],
    ['unknown critical header', token(CLAIMS, { crit: ['x'], x: 1 }), 'IDENTITY_TOKEN_INVALID'],
    ['too few dots', `${head}.${body}`, 'IDENTITY_TOKEN_INVALID'],
    ['too many dots', `${token()}.x`, 'IDENTITY_TOKEN_INVALID'],
    ['payload not JSON', 'e30.eHg.e30', 'IDENTITY_TOKEN_INVALID'],
    ['payload a list', 'e30.W10.e30', 'IDENTITY_TOKEN_INVALID'],
    ['payload in base64 with padding', `${head}.${body}==.${signature}`, 'IDENTITY_TOKEN_INVALID'],
  ];
  for (const [flaw, bad, code] of flaws)
    test(flaw, async () => {
      expect(await codeOf(verifier(good())(bad))).toStartWith(code);
    });
  test('issuer twice in the payload', async () => {
    const payload = JSON.stringify(CLAIMS).replace('{', '{"iss":"https://other.example",');
    expect(await codeOf(verifier(good())(signToken(keys.rsa, { alg: 'RS256' }, payload)))).toStartWith(
      'IDENTITY_TOKEN_INVALID',
    );
  });
});

describe('GHSA-f83f-xpx7-ffpw: a token of nothing but dots', () => {
  test('is refused for its length before anything is split', async () => {
    expect(await codeOf(verifier(good())('.'.repeat(4_000_000)))).toContain('longer than 16384 characters');
  });
  test('is refused for its dots within the length', async () => {
    expect(await codeOf(verifier(good())('.'.repeat(16_000)))).toContain('three parts');
  });
});

describe('GHSA-59jp-pj84-45mr: an issuer outside of the table is never asked', () => {
  for (const iss of [
    'https://evil.example',
    `${URL_}/`,
    `${URL_}.evil.example`,
    'https://evil.example/?https://issuer.example/realm',
    'HTTPS://issuer.example/realm',
    '__proto__',
    ['https://issuer.example/realm'],
    undefined,
  ])
    test(JSON.stringify(iss) ?? 'missing', async () => {
      const r = good();
      expect(await codeOf(verifier(r)(token({ ...CLAIMS, iss })))).toStartWith('IDENTITY_TOKEN_INVALID issuer');
      expect(r.fetched).toEqual([]);
    });
});

describe('GHSA-f5mr-q85p-6hh6: what an issuer answers', () => {
  const document = `${URL_}/.well-known/openid-configuration`;
  const jwksUrl = 'https://keys.example/jwks';
  const redirect = () => new Response(null, { status: 302, headers: { location: 'http://169.254.169.254/' } });
  const flaws: [flaw: string, change: (r: Remote) => void][] = [
    [
      'discovery redirects to another host',
      (r) => {
        r.documents[document] = redirect();
      },
    ],
    [
      'discovery redirects within the host',
      (r) => {
        r.documents[`${URL_}/moved`] = r.documents[document];
        r.documents[document] = Response.redirect(`${URL_}/moved`);
      },
    ],
    [
      'keys redirect to another host',
      (r) => {
        r.documents[jwksUrl] = redirect();
      },
    ],
    [
      'discovery speaks for another issuer',
      (r) => {
        r.documents[document] = { issuer: 'https://other.example', jwks_uri: jwksUrl };
      },
    ],
    [
      'keys without TLS',
      (r) => {
        r.documents[document] = { issuer: URL_, jwks_uri: 'http://keys.example/jwks' };
      },
    ],
    [
      'keys from a file',
      (r) => {
        r.documents[document] = { issuer: URL_, jwks_uri: 'file:///etc/passwd' };
      },
    ],
    [
      'keys missing',
      (r) => {
        r.documents[document] = { issuer: URL_ };
      },
    ],
    [
      'only symmetric algorithms',
      (r) => {
        r.documents[document] = {
          issuer: URL_,
          jwks_uri: jwksUrl,
          id_token_signing_alg_values_supported: ['HS256', 'none'],
        };
      },
    ],
    [
      'endless document',
      (r) => {
        r.documents[document] = new Response(' '.repeat(600_000));
      },
    ],
    [
      'not JSON',
      (r) => {
        r.documents[document] = new Response('<html>');
      },
    ],
    [
      'error status',
      (r) => {
        r.documents[document] = new Response('{}', { status: 404 });
      },
    ],
    [
      'keys not a list',
      (r) => {
        r.documents[jwksUrl] = { keys: 'x' };
      },
    ],
    [
      'unreachable',
      (r) => {
        delete r.documents[document];
      },
    ],
  ];
  for (const [flaw, change] of flaws)
    test(flaw, async () => {
      const r = good();
      change(r);
      expect(await codeOf(verifier(r)(token()))).toStartWith('SERVICE_');
    });
  test('a failure is not kept', async () => {
    const r = good();
    const verify = verifier(r);
    const documents = { ...r.documents };
    delete r.documents[jwksUrl];
    expect(await codeOf(verify(token()))).toStartWith('SERVICE_UNREACHABLE');
    Object.assign(r.documents, documents);
    await verify(token());
  });
  test('an algorithm that the issuer does not offer is refused', async () => {
    const r = remote([jwk(keys.p256, 'one')], { id_token_signing_alg_values_supported: undefined });
    expect(await codeOf(verifier(r)(token(CLAIMS, {}, keys.p256)))).toStartWith('IDENTITY_TOKEN_INVALID');
  });
});
