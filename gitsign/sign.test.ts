import { describe, expect, test } from 'bun:test';
import { element, integer, octetString } from '../core/asn1/der.ts';
import { concat, parseHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { hasOpenssl, openssl } from '../core/cms/testing.ts';
import { generateKey } from '../core/crypto/private-key.ts';
import { HallmarkError, type VerificationError } from '../core/errors.ts';
import { signArtifact } from '../core/sign/sign.ts';
import { type Certificate, serializeCertificatePem } from '../core/x509/certificate.ts';
import { parseEmbeddedEntry, serializeEmbeddedEntry } from './log-entry.ts';
import { loggedObjectId } from './object-id.ts';
import { signGitPayload } from './sign.ts';
import { isOurArmor, parseArmor, parseCmsSignature, serializeArmor } from './signature.ts';
import { commitPayload, gitStack, tagPayload } from './testing.ts';
import { verifyGitSignature } from './verify.ts';

const payload = commitPayload();
const derOf = (armor: string): Uint8Array => parseArmor(serializeUtf8(armor)).der;

async function codeOf(task: () => unknown): Promise<string> {
  try {
    await task();
  } catch (error) {
    if (error instanceof HallmarkError) return error.code;
    throw error;
  }
  return 'verified';
}

describe('sign', () => {
  test('with the entry in the signature: verified offline', async () => {
    const stack = await gitStack();
    const { armor, identity, logEntries } = await stack.sign(payload);
    expect(armor).toStartWith('-----BEGIN SIGNED MESSAGE-----\n');
    expect(identity).toBe('a@b.example');
    expect(logEntries).toHaveLength(1);
    expect(stack.verify(payload, armor).times[0]?.time).toEqual(stack.clock.now);
    expect(stack.calls.filter((call) => call.includes('timestamp'))).toEqual([]);
    const { signingTime, entry, otherCertificates } = parseCmsSignature(derOf(armor));
    expect(signingTime).toEqual(stack.clock.now);
    expect(entry?.kindVersion).toEqual({ kind: 'hashedrekord', version: '0.0.1' });
    expect(otherCertificates).toEqual([]);
  });

  test('another committer than the signer, where it matters: refused before anything is logged', async () => {
    const stack = await gitStack();
    const others = [
      Buffer.from(payload).toString().replace('committer A <a@b.example>', 'committer C <c@d.example>'),
      Buffer.from(payload)
        .toString()
        .replace(/^committer .*\n/m, ''),
    ];
    for (const rekorMode of ['offline', 'online'] as const) {
      const options = { rekorMode, matchCommitter: true };
      for (const other of others) {
        const signing = () => signGitPayload(serializeUtf8(other), options, stack.signer, stack.context);
        expect(await codeOf(signing)).toBe('IDENTITY_TOKEN_INVALID');
      }
      expect(stack.calls.filter((call) => call.endsWith('/log/entries'))).toEqual([]);
      await signGitPayload(payload, options, stack.signer, stack.context);
      expect(stack.calls.filter((call) => call.endsWith('/log/entries'))).toHaveLength(1);
      stack.calls.length = 0;
    }
  });

  test('one certificate for several signatures', async () => {
    const stack = await gitStack();
    await stack.sign(payload);
    await stack.sign(tagPayload());
    expect(stack.calls.filter((call) => call.endsWith('signingCert'))).toHaveLength(1);
  });

  test('online: the entry is about the ID of the object, and in the log alone', async () => {
    const stack = await gitStack();
    for (const body of [payload, tagPayload()]) {
      const { armor, logEntries } = await stack.sign(body, 'online');
      expect(logEntries).toHaveLength(1);
      expect(parseCmsSignature(derOf(armor)).entry).toBeUndefined();
      expect(await codeOf(() => stack.verify(body, armor))).toBe('LOG_ENTRY_MISSING');
      expect(loggedObjectId(body, serializeUtf8(armor))).toMatch(/^[0-9a-f]{40}$/);
    }
  });

  test('online: an entry about another object is refused', async () => {
    const stack = await gitStack();
    const first = await stack.sign(payload, 'online');
    const { bundle } = await signArtifact([serializeUtf8('0'.repeat(40))], stack.signer, stack.context);
    const [found] = bundle.tlogEntries;
    const armor = serializeUtf8(first.armor);
    const options = { trustedRootFor: () => stack.trustedRoot, now: stack.clock.now, found };
    expect(await codeOf(() => verifyGitSignature(payload, armor, parseCmsSignature(derOf(first.armor)), options))).toBe(
      'LOG_ENTRY_MISMATCH',
    );
  });

  test('a push certificate carries its entry in either mode', async () => {
    const stack = await gitStack();
    const push = serializeUtf8('certificate version 0.1\npusher A <a@b.example> 1700000000 +0100\n\n');
    const { armor } = await stack.sign(push, 'online');
    expect(stack.verify(push, armor).logEntries).toHaveLength(1);
  });

  test('with a timestamp, which brings its certificates along', async () => {
    const stack = await gitStack();
    const services = stack.services(1);
    for (const mode of ['offline', 'online'] as const) {
      const { armor } = await stack.sign(payload, mode, { services, timestampCertificates: true });
      if (mode === 'online') expect(await codeOf(() => stack.verify(payload, armor))).toBe('LOG_ENTRY_MISSING');
      else
        expect(
          stack
            .verify(payload, armor)
            .times.map(({ source }) => source)
            .sort(),
        ).toEqual(['log', 'timestamp authority']);
      expect(parseCmsSignature(derOf(armor)).timestampToken?.length).toBeGreaterThan(900);
    }
  });

  test('with an entry of Rekor v2, in an attribute of its own', async () => {
    const stack = await gitStack({}, 2);
    const { armor } = await stack.sign(payload, 'offline', { timestampCertificates: true });
    const verified = stack.verify(payload, armor);
    expect(verified.logEntries[0]?.version).toBe('0.0.2');
    expect(verified.times.map(({ source }) => source)).toEqual(['timestamp authority']);
  });

  test('labelled for gpg.program alone', async () => {
    const stack = await gitStack();
    const armor = serializeArmor('PGP SIGNATURE', (await stack.sign(payload)).cms);
    expect(stack.verify(payload, armor).logEntries).toHaveLength(1);
  });

  test.skipIf(!hasOpenssl() && process.env['CI'] !== 'true')('openssl verifies it', async () => {
    const stack = await gitStack();
    const { armor } = await stack.sign(payload);
    const chain = (stack.trustedRoot.certificateAuthorities[0]?.chain ?? []) as readonly Certificate[];
    const args =
      'cms -verify -binary -inform DER -in sig -content data -purpose any -no_check_time -CAfile ca -out out';
    const files = { sig: derOf(armor), data: payload, ca: chain.map(serializeCertificatePem).join('') };
    expect(Buffer.from(openssl(files, args.split(' ')))).toEqual(Buffer.from(payload));
  });
});

describe('refused, by flaw', () => {
  const flawed = async (flaws: Parameters<typeof gitStack>[0], code: string): Promise<void> => {
    expect(await codeOf(async () => (await gitStack(flaws)).sign(payload))).toBe(code);
  };
  const good = gitStack();
  const signed = good.then((stack) => stack.sign(payload));
  const changed = async (body: Uint8Array, change?: (der: Uint8Array) => Uint8Array): Promise<string> => {
    const [stack, { armor }] = [await good, await signed];
    const der = change?.(derOf(armor)) ?? derOf(armor);
    return codeOf(() =>
      verifyGitSignature(body, serializeUtf8(armor), parseCmsSignature(der), {
        trustedRootFor: () => stack.trustedRoot,
        now: stack.clock.now,
      }),
    );
  };

  test('another payload', async () => expect(await changed(commitPayload('another\n'))).toBe('SIGNATURE_INVALID'));
  test('the payload with a final newline less', async () =>
    expect(await changed(payload.subarray(0, -1))).toBe('SIGNATURE_INVALID'));
  test('a certificate without SCT', () => flawed({ certificate: { withoutSct: true } }, 'SCT_MISSING'));
  test('a certificate of another authority', () =>
    flawed({ certificate: { foreignCa: true } }, 'CERTIFICATE_UNTRUSTED'));
  test('a certificate of another key', () =>
    flawed({ certificate: { key: generateKey('p256').publicKey } }, 'SERVICE_ANSWER_INVALID'));
  test('an entry without promise has no time', () =>
    flawed({ entry: (entry) => ({ ...entry, inclusionPromise: undefined }) }, 'TIME_MISSING'));
  test('an entry without proof', () =>
    flawed({ entry: (entry) => ({ ...entry, inclusionProof: undefined }) }, 'SERVICE_ANSWER_INVALID'));

  test('signed after the certificate ended', async () => {
    const stack = await gitStack({ lifetimeMs: 600_000 });
    await stack.signer.credential();
    const { certificate } = await stack.signer.credential();
    const late = { key: stack.signer.key, credential: async () => ({ key: stack.signer.key, certificate }) };
    stack.clock.now = new Date(stack.clock.now.getTime() + 700_000);
    expect(
      await codeOf(() => signGitPayload(payload, { rekorMode: 'offline', matchCommitter: false }, late, stack.context)),
    ).toBe('TIMESTAMP_OUTSIDE_VALIDITY');
  });

  test('the entry of another signature by the same certificate', async () => {
    const [stack, { armor }] = [await good, await signed];
    const other = parseCmsSignature(derOf((await stack.sign(tagPayload())).armor));
    const mixed = { ...parseCmsSignature(derOf(armor)), entry: other.entry };
    const code = await codeOf(() =>
      verifyGitSignature(payload, serializeUtf8(armor), mixed, {
        trustedRootFor: () => stack.trustedRoot,
        now: stack.clock.now,
      }),
    );
    expect(code).toBe('SET_INVALID');
  });

  test('two signatures in one armor', async () => {
    const { armor } = await signed;
    expect(await codeOf(() => parseArmor(serializeUtf8(`${armor}${armor}`)))).toBe('PEM_INVALID');
  });
  test('text around the armor', async () => {
    const { armor } = await signed;
    expect(await codeOf(() => parseArmor(serializeUtf8(`${armor}junk\n`)))).toBe('PEM_INVALID');
  });

  test('an unsigned attribute that nobody knows', async () => {
    const { armor } = await signed;
    const extra = parseHex('300d06032a0304310604040a0b0c0d');
    const code = await codeOf(() => parseCmsSignature(appendUnsigned(derOf(armor), extra)));
    expect(code).toBe('CMS_INVALID');
  });
  test("the attributes of gitsign's unreleased form: as if there were none", async () => {
    const { armor } = await signed;
    const old = parseHex('3010060a2b0601040183bf30030231020400');
    expect(parseCmsSignature(appendUnsigned(derOf(armor), old)).entry).toBeDefined();
  });

  // Three other values of each byte: whatever is not covered by a signature is fixed by the form.
  test('any byte changed', async () => {
    const [stack, { armor }] = [await good, await signed];
    const der = derOf(armor);
    const accepted: string[] = [];
    for (let at = 0; at < der.length; at++) {
      for (const xor of [0x01, 0x80, 0xff]) {
        const other = der.slice();
        other[at] = (other[at] as number) ^ xor;
        try {
          verifyGitSignature(payload, serializeUtf8(armor), parseCmsSignature(other), {
            trustedRootFor: () => stack.trustedRoot,
            now: stack.clock.now,
          });
          accepted.push(`${at} ^ ${xor}`);
        } catch (error) {
          if (!(error instanceof HallmarkError)) throw error;
        }
      }
    }
    expect(accepted).toEqual([]);
  }, 60_000);

  test('digest and signature are told from the rest', async () => {
    const [stack, { armor }] = [await good, await signed];
    try {
      stack.verify(commitPayload('x'), armor);
    } catch (error) {
      expect((error as VerificationError).step).toBe('signature');
    }
  });
});

// The unsigned attributes of the first signer with one more, lengths mended.
function appendUnsigned(der: Uint8Array, attribute: Uint8Array): Uint8Array {
  const hex = Buffer.from(der);
  const at = hex.lastIndexOf(Buffer.from(Uint8Array.of(0xa1, 0x82)));
  const length = hex.readUInt16BE(at + 2) + attribute.length;
  const grown = Buffer.concat([hex, attribute]);
  grown.writeUInt16BE(length, at + 2);
  // The sequences and sets around it, each with a length of two bytes.
  for (const outer of enclosing(hex, at))
    grown.writeUInt16BE(hex.readUInt16BE(outer + 2) + attribute.length, outer + 2);
  return grown;
}

function enclosing(der: Buffer, at: number): number[] {
  const found: number[] = [];
  for (let i = 0; i < at; i++) {
    const tag = der[i];
    if ((tag !== 0x30 && tag !== 0x31 && tag !== 0xa0) || der[i + 1] !== 0x82) continue;
    const end = i + 4 + der.readUInt16BE(i + 2);
    if (end === der.length && i + 4 <= at) found.push(i);
  }
  return found;
}

describe('embedded entries', () => {
  test('round trip, and no other spelling', async () => {
    const { armor } = await (await gitStack()).sign(payload);
    const entry = parseCmsSignature(derOf(armor)).entry;
    if (entry === undefined) throw new Error('no entry');
    const bytes = serializeEmbeddedEntry(entry);
    expect(parseEmbeddedEntry(bytes)).toEqual(entry);
    for (const [flaw, other] of [
      ['an unknown field', concat(bytes, Uint8Array.of(0x78, 1))],
      ['a field twice', concat(bytes, bytes)],
      ['a number that is not minimal', concat(Uint8Array.of(0x08, 0x80, 0x00), bytes)],
      ['a body', concat(bytes, Uint8Array.of(0x3a, 1, 0x7b))],
      ['truncated', bytes.subarray(0, -1)],
      ['nothing', new Uint8Array()],
      ['another wire type', concat(Uint8Array.of(0x0d, 0, 0, 0, 0), bytes)],
    ] as const) {
      expect([flaw, await codeOf(() => parseEmbeddedEntry(other))]).toEqual([flaw, 'ENTRY_INVALID']);
    }
  });
});

test('ours is told from others, damaged or not', async () => {
  const { armor, cms } = await (await gitStack()).sign(payload);
  const isOurs = (text: string): boolean => isOurArmor(serializeUtf8(text));
  expect(isOurs(armor)).toBe(true);
  expect(isOurs(serializeArmor('PGP SIGNATURE', cms))).toBe(true);
  expect(isOurs(armor.replace(/\n[^\n]*\n-----END/, '\n-----END'))).toBe(true);
  expect(isOurs(`${armor}${armor}`)).toBe(true);
  const foreign = concat(element(0x30, integer(1)), octetString(payload));
  expect(isOurs(serializeArmor('SIGNED MESSAGE', foreign))).toBe(false);
  expect(isOurs('-----BEGIN PGP SIGNATURE-----\n\niHUEABYKAB0=\n=abcd\n-----END PGP SIGNATURE-----\n')).toBe(false);
});
