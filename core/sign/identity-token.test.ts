import { describe, expect, test } from 'bun:test';
import { IdentityError } from '../errors.ts';
import { isJwt, parseIdentityToken, possessionText, requireFreshToken } from './identity-token.ts';
import { unsignedToken } from './testing.ts';

const CLAIMS = { iss: 'https://issuer.example', sub: 'user-1', aud: 'sigstore', exp: 1_800_000_000 };

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof IdentityError) return error.code;
    throw error;
  }
  return 'none';
}

describe('the proof of possession is over', () => {
  const over = (claims: object): string => possessionText(parseIdentityToken(unsignedToken({ ...CLAIMS, ...claims })));
  test('the email', () => expect(over({ email: 'a@b.example', email_verified: true })).toBe('a@b.example'));
  test('the email when nothing is said about it', () => expect(over({ email: 'a@b.example' })).toBe('a@b.example'));
  test('the subject when the email is not verified', () => {
    expect(over({ email: 'a@b.example', email_verified: false })).toBe('user-1');
    expect(over({ email: 'a@b.example', email_verified: 'False' })).toBe('user-1');
  });
  test('the email when what is said about it has no text', () =>
    expect(over({ email: 'a@b.example', email_verified: { toString: 1 } })).toBe('a@b.example'));
  test('the subject when there is no email', () => expect(over({})).toBe('user-1'));
});

test('issuers are iss and the connector behind it', () => {
  const token = unsignedToken({ ...CLAIMS, federated_claims: { connector_id: 'https://github.com/login/oauth' } });
  expect(parseIdentityToken(token).issuers).toEqual(['https://issuer.example', 'https://github.com/login/oauth']);
});

test('an expired token is refused before any request', () => {
  const token = parseIdentityToken(unsignedToken(CLAIMS));
  expect(code(() => requireFreshToken(token, new Date(1_800_000_000_000)))).toBe('IDENTITY_TOKEN_EXPIRED');
  expect(code(() => requireFreshToken(token, new Date(1_799_999_999_999)))).toBe('none');
});

describe('not a token', () => {
  const b64 = (text: string): string => Buffer.from(text).toString('base64url');
  const broken: Record<string, string> = {
    'a file name': './token.jwt',
    'two parts': 'eyJh.eyJh',
    'thousands of dots': `eyJh${'.'.repeat(10_000)}`,
    'too long': `eyJh.${'a'.repeat(20_000)}.`,
    'claims that are no JSON': `eyJh.${b64('nonsense')}.x`,
    'claims that are a list': `eyJh.${b64('[]')}.x`,
    'a claim given twice': `eyJh.${b64('{"iss":"a","iss":"b","sub":"c","exp":1}')}.x`,
    'no issuer': unsignedToken({ sub: 'x', exp: 1 }),
    'no subject': unsignedToken({ iss: 'x', exp: 1 }),
    'no end': unsignedToken({ iss: 'x', sub: 'y' }),
    'an end that is text': unsignedToken({ iss: 'x', sub: 'y', exp: 'tomorrow' }),
    'an audience that is a number': unsignedToken({ ...CLAIMS, aud: 7 }),
  };
  for (const [flaw, jwt] of Object.entries(broken)) {
    test(flaw, () => expect(code(() => parseIdentityToken(jwt))).toBe('IDENTITY_TOKEN_INVALID'));
  }
});

test('ES256 and RS256 tokens both look like a JWT, a path does not', () => {
  expect(isJwt(unsignedToken(CLAIMS))).toBe(true);
  expect(isJwt('/tmp/eyJ.a.b')).toBe(false);
});
