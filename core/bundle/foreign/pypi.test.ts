import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { parseBase64, serializeBase64, serializeUtf8 } from '../../bytes/bytes.ts';
import { parseJson } from '../../bytes/json.ts';
import { sharedPath } from '../../bytes/shared-data.ts';
import { sha256 } from '../../crypto/hash.ts';
import { parseTrustedRoot } from '../../trust/trusted-root.ts';
import { type VerifiedBundle, verifyBundle } from '../../verify/verify.ts';
import { type JsonObject, withChange } from '../testing.ts';
import { convertBundles } from './convert.ts';

const folder = sharedPath('corpus/bundles/pypi');
const read = (path: string): Uint8Array => readFileSync(sharedPath(path) as string);
const rejected = (code: string): unknown => expect.objectContaining({ code });

if (folder === undefined) test.skip('skipped: attestations of PyPI are not beside the checkout', () => {});

interface Distribution {
  readonly fileName: string;
  readonly suffix: string;
  readonly trust: string;
  readonly identity: string;
  readonly issuer: string;
  /** Of the attestation within its file. */
  readonly path: readonly string[];
}

const DISTRIBUTIONS: readonly Distribution[] = [
  {
    fileName: 'pypi_attestations-0.0.19.tar.gz',
    suffix: '.provenance',
    trust: 'public-good',
    identity: 'https://github.com/trailofbits/pypi-attestations/.github/workflows/release.yml@refs/tags/v0.0.19',
    issuer: 'https://token.actions.githubusercontent.com',
    path: ['attestation_bundles', '0', 'attestations', '0'],
  },
  {
    fileName: 'rfc8785-0.1.2-py3-none-any.whl',
    suffix: '.publish.attestation',
    trust: 'staging',
    identity: 'william@yossarian.net',
    issuer: 'https://github.com/login/oauth',
    path: [],
  },
];

// The whole way: PEP 740 in, a verified statement about the file out.
describe.if(folder !== undefined).each(DISTRIBUTIONS.map((each) => [each.fileName, each] as const))('%s', (_, the) => {
  const attestation = (): Uint8Array => read(`corpus/bundles/pypi/${the.fileName}${the.suffix}`);
  const file = (): Uint8Array => read(`corpus/bundles/pypi/${the.fileName}`);
  const verify = (
    input: Uint8Array,
    { artifact = file(), fileName = the.fileName, identity = the.identity, trust = the.trust } = {},
  ): VerifiedBundle => {
    const [converted] = convertBundles(input, 'pep740', { fileName });
    if (converted === undefined) throw new Error('internal: nothing converted');
    return verifyBundle(converted.bundle, {
      trustedRoot: parseTrustedRoot(read(`trust/${trust}.trusted_root.json`)),
      policy: {
        identities: [
          {
            subjectAlternativeName: { kind: 'exact', value: identity },
            issuer: { kind: 'exact', value: the.issuer },
          },
        ],
      },
      artifact: { digests: { sha256: sha256(artifact) } },
      predicateType: 'https://docs.pypi.org/attestations/publish/v1',
      now: new Date('2026-09-01T00:00:00Z'),
    });
  };
  const changed = (path: readonly string[], value: string): Uint8Array =>
    serializeUtf8(JSON.stringify(withChange(parseJson(attestation()), [...the.path, ...path], value)));
  const part = (group: string, member: string): string => {
    const json = the.path.reduce(
      (at, key) => (at as JsonObject)[key] as JsonObject,
      parseJson(attestation()) as JsonObject,
    );
    return (json[group] as JsonObject)[member] as string;
  };

  test('verifies, about this file', () => {
    const { statement, signer } = verify(attestation());
    expect(statement?.subjects).toEqual([
      { name: the.fileName, digest: { sha256: Buffer.from(sha256(file())).toString('hex') } },
    ]);
    expect(signer).toMatchObject({ kind: 'certificate', subjectAlternativeName: the.identity });
  });

  test('rejects another file', () => {
    expect(() => verify(attestation(), { artifact: serializeUtf8('other') })).toThrow(rejected('SUBJECT_MISMATCH'));
  });

  test('rejects the same file under another name', () => {
    expect(() => verify(attestation(), { fileName: `other-${the.fileName}` })).toThrow(rejected('SUBJECT_MISMATCH'));
  });

  test('rejects a statement with another subject name, which nobody signed', () => {
    const statement = Buffer.from(parseBase64(part('envelope', 'statement'))).toString();
    const renamed = changed(
      ['envelope', 'statement'],
      serializeBase64(serializeUtf8(statement.replace(the.fileName, `other-${the.fileName}`))),
    );
    expect(() => verify(renamed)).toThrow(rejected('SUBJECT_MISMATCH'));
    expect(() => verify(renamed, { fileName: `other-${the.fileName}` })).toThrow(rejected('LOG_ENTRY_MISMATCH'));
  });

  test('rejects another signature', () => {
    const signature = parseBase64(part('envelope', 'signature'));
    signature[signature.length - 1] = (signature.at(-1) as number) ^ 1;
    expect(() => verify(changed(['envelope', 'signature'], serializeBase64(signature)))).toThrow(
      rejected('LOG_ENTRY_MISMATCH'),
    );
  });

  test("rejects another's certificate", () => {
    const other = DISTRIBUTIONS.find(({ fileName }) => fileName !== the.fileName) as Distribution;
    const [converted] = convertBundles(read(`corpus/bundles/pypi/${other.fileName}${other.suffix}`), 'pep740');
    const material = converted?.bundle.material;
    if (material?.kind !== 'certificates') throw new Error('internal: no certificate');
    const certificate = serializeBase64(material.certificates[0] as Uint8Array);
    expect(() => verify(changed(['verification_material', 'certificate'], certificate))).toThrow(
      expect.objectContaining({ kind: 'verification' }),
    );
  });

  test('rejects another identity, another instance', () => {
    expect(() => verify(attestation(), { identity: 'someone@example.com' })).toThrow(rejected('IDENTITY_MISMATCH'));
    const trust = the.trust === 'staging' ? 'public-good' : 'staging';
    expect(() => verify(attestation(), { trust })).toThrow(rejected('LOG_UNKNOWN'));
  });
});
