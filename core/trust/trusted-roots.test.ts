import { describe, expect, test } from 'bun:test';
import { serializeUtf8 } from '../bytes/bytes.ts';
import type { ErrorCode } from '../errors.ts';
import { MAX_TRUSTED_ROOTS } from '../limits.ts';
import { type Holder, issue, issueAuthority, leafExtensions, NOON, NOT_BEFORE } from '../x509/testing.ts';
import type { Validity } from '../x509/validity.ts';
import { PUBLIC_GOOD } from './public-good.ts';
import type { LogInstance, TrustedRoot } from './trusted-root.ts';
import { chooseTrustedRoot, type NamedRoot, parseTrustedRoots } from './trusted-roots.ts';

const OPEN: Validity = { start: undefined, end: undefined };
const LOG_A = Uint8Array.of(1);
const LOG_B = Uint8Array.of(2);

function named(
  name: string,
  authorities: readonly Holder[][],
  logIds: readonly Uint8Array[],
  validFor = OPEN,
): NamedRoot {
  const trustedRoot: TrustedRoot = {
    tlogs: logIds.map((logId) => ({ logId }) as LogInstance),
    certificateAuthorities: authorities.map((chain) => ({
      subject: {},
      uri: '',
      chain: chain.map(({ certificate }) => certificate),
      validFor,
    })),
    ctlogs: [],
    timestampAuthorities: [],
  };
  return { name, trustedRoot };
}

const rootA = issueAuthority('a');
const intermediateA = issueAuthority('a-issuing', rootA);
const rootB = issueAuthority('b');
const leafOf = (issuer: Holder): Holder => issue({ issuer, extensions: leafExtensions(issuer, 'codeSigning') });
const leafA = leafOf(intermediateA).certificate;

const a = named('a', [[intermediateA, rootA]], [LOG_A]);
const b = named('b', [[rootB]], [LOG_B]);
const reject = (run: () => unknown, code: ErrorCode): void => expect(run).toThrow(expect.objectContaining({ code }));

describe('by certificate', () => {
  test('the root that issued it, wherever it stands', () => {
    expect(chooseTrustedRoot([a, b], leafA, []).name).toBe('a');
    expect(chooseTrustedRoot([b, a], leafA, []).name).toBe('a');
  });

  test('the logs that the bundle names do not matter: they are looked for in the root that issued', () => {
    expect(chooseTrustedRoot([a, b], leafA, [LOG_B]).name).toBe('a');
  });

  test('nobody issued it', () => {
    const stranger = leafOf(issueAuthority('stranger')).certificate;
    reject(() => chooseTrustedRoot([a, b], stranger, [LOG_A]), 'CERTIFICATE_UNTRUSTED');
  });

  test('the same name is not the same authority', () => {
    const double = issueAuthority('b', undefined, { kind: 'p384' });
    reject(() => chooseTrustedRoot([a, b], leafOf(double).certificate, []), 'CERTIFICATE_UNTRUSTED');
  });

  test('two roots know the authority: none is preferred', () => {
    const both = named('both', [[rootB], [intermediateA, rootA]], [LOG_B]);
    reject(() => chooseTrustedRoot([a, both], leafA, [LOG_A]), 'TRUST_AMBIGUOUS');
  });

  test('an intermediate certificate of one root does not complete the chain of another', () => {
    const withoutIntermediate = named('a', [[rootA]], [LOG_A]);
    const intermediateAlone = named('c', [[rootB], [intermediateA, rootB]], [LOG_B]);
    reject(() => chooseTrustedRoot([withoutIntermediate, intermediateAlone], leafA, []), 'CERTIFICATE_UNTRUSTED');
  });

  test('an authority that was not in use when the certificate began', () => {
    const before = named('before', [[intermediateA, rootA]], [], {
      start: undefined,
      end: new Date(NOT_BEFORE.getTime() - 1),
    });
    expect(chooseTrustedRoot([before, a], leafA, []).name).toBe('a');
    const after = named('after', [[intermediateA, rootA]], [], { start: NOON, end: undefined });
    reject(() => chooseTrustedRoot([after, b], leafA, []), 'CERTIFICATE_UNTRUSTED');
  });
});

describe('by log, signed with a key', () => {
  test('the root that knows the log', () => expect(chooseTrustedRoot([a, b], undefined, [LOG_B]).name).toBe('b'));
  test('no root knows it', () => reject(() => chooseTrustedRoot([a, b], undefined, [Uint8Array.of(3)]), 'LOG_UNKNOWN'));
  test('two roots know it', () => {
    reject(() => chooseTrustedRoot([a, named('c', [], [LOG_A])], undefined, [LOG_A]), 'TRUST_AMBIGUOUS');
  });
  test('logs of two roots are not mixed', () => {
    reject(() => chooseTrustedRoot([a, b], undefined, [LOG_A, LOG_B]), 'LOG_UNKNOWN');
    const all = named('all', [], [LOG_A, LOG_B]);
    expect(chooseTrustedRoot([a, b, all], undefined, [LOG_A, LOG_B]).name).toBe('all');
  });
  test('in no log: nothing to choose by', () =>
    reject(() => chooseTrustedRoot([a, b], undefined, []), 'TRUST_AMBIGUOUS'));
});

test('a single root is taken unseen: the verification says what is wrong with it', () => {
  expect(chooseTrustedRoot([b], leafA, []).name).toBe('b');
  expect(chooseTrustedRoot([b], undefined, []).name).toBe('b');
});

describe('parseTrustedRoots', () => {
  const LINE = JSON.stringify(JSON.parse(PUBLIC_GOOD.trustedRoot));
  const parse = (text: string): number => parseTrustedRoots(serializeUtf8(text)).length;

  test('one document over many lines, or on one', () => {
    expect([parse(PUBLIC_GOOD.trustedRoot), parse(LINE), parse(`\n${LINE}\n\n`)]).toEqual([1, 1, 1]);
  });
  test('one on each line', () =>
    expect([parse(`${LINE}\n${LINE}`), parse(`${LINE}\r\n\n${LINE}\r\n`)]).toEqual([2, 2]));
  test('a line that is none: the line is named, nothing is skipped', () => {
    reject(() => parse(`${LINE}\n{"mediaType":"x"}`), 'TRUSTED_ROOT_INVALID');
    expect(() => parse(`${LINE}\n\n{"mediaType":`)).toThrow('line 3');
  });
  test('empty file', () => reject(() => parse(''), 'JSON_INVALID'));
  test('too many', () => {
    reject(() => parse(`${LINE}\n`.repeat(MAX_TRUSTED_ROOTS + 1)), 'TRUSTED_ROOT_INVALID');
    expect(parse(`${LINE}\n`.repeat(MAX_TRUSTED_ROOTS))).toBe(MAX_TRUSTED_ROOTS);
  });
});
