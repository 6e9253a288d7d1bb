import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Bundle, parseBundle } from '../bundle/bundle.ts';
import { parseHex } from '../bytes/bytes.ts';
import { sharedPath } from '../bytes/shared-data.ts';
import { digest, type HashName } from '../crypto/hash.ts';
import { parsePublicKeyPem } from '../crypto/public-key.ts';
import { parseTrustedRoot, type TrustedRoot } from '../trust/trusted-root.ts';
import type { Artifact } from './artifact.ts';
import type { IdentityPolicy } from './identity.ts';
import type { Policy } from './signer.ts';

/*
 * Test only: the bundles of other implementations that lie beside the checkout. Lists are empty where they are absent.
 */

/** A bundle as it lies on disk, with what it is verified with. */
export interface Sample {
  readonly name: string;
  /** Of a bundle that has to be accepted. */
  readonly good: boolean;
  readonly bundle: () => Uint8Array;
  readonly trustedRoot: () => TrustedRoot;
  /** InputError where the sample's key is malformed. */
  readonly policy: () => Policy;
  /** The whole artifact, where it is there. */
  readonly artifact: Uint8Array | undefined;
  readonly digest: { readonly hash: HashName; readonly digest: Uint8Array };
}

const GITHUB_ACTIONS = 'https://token.actions.githubusercontent.com';
const BEACON =
  'https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main';

/** Some instant after all samples. */
export const NOW = new Date('2026-09-01T00:00:00Z');

export const exactly = (subjectAlternativeName: string, issuer: string): IdentityPolicy => ({
  identities: [
    {
      subjectAlternativeName: { kind: 'exact', value: subjectAlternativeName },
      issuer: { kind: 'exact', value: issuer },
    },
  ],
});

const trustedRootAt = (path: string): TrustedRoot => parseTrustedRoot(readFileSync(path));
const publicGoodRoot = (): TrustedRoot => trustedRootAt(sharedPath('trust/public-good.trusted_root.json') as string);

/** The cases of the conformance suite; their names say what has to come out. */
export function conformanceSamples(): Sample[] {
  const folder = sharedPath('corpus/conformance');
  if (folder === undefined) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => conformanceSample(folder, name));
}

function conformanceSample(folder: string, name: string): Sample {
  const file = (part: string): string | undefined => {
    const path = join(folder, name, part);
    return existsSync(path) ? path : undefined;
  };
  const text = (part: string): string | undefined => {
    const path = file(part);
    return path === undefined ? undefined : readFileSync(path, 'utf8').trim();
  };
  const root = file('trusted_root.json') ?? (sharedPath('trust/public-good.trusted_root.json') as string);
  const key = text('key.pub');
  const artifact = readFileSync(file('artifact') ?? join(folder, 'a.txt'));
  return {
    name,
    good: !name.endsWith('_fail'),
    bundle: () => readFileSync(join(folder, name, 'bundle.sigstore.json')),
    trustedRoot: () => trustedRootAt(root),
    policy: () =>
      key === undefined
        ? exactly(text('identity') ?? BEACON, text('issuer') ?? GITHUB_ACTIONS)
        : { key: parsePublicKeyPem(key) },
    artifact,
    digest: { hash: 'sha256', digest: digest('sha256', artifact) },
  };
}

interface ManifestEntry {
  readonly file: string;
  readonly index?: number;
  readonly expect: string;
  readonly digest?: string;
  readonly identity?: string;
  readonly issuer?: string;
}

/** Bundles found in public, with the public-good trusted root. One that nobody could verify has no identity. */
export function publicSamples(): Sample[] {
  const folder = sharedPath('corpus/bundles');
  if (folder === undefined) return [];
  const entries = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as ManifestEntry[];
  return entries.map((entry) => {
    const [hash = 'sha256', hex = ''] = (entry.digest ?? '').split(':');
    return {
      name: `${entry.file}${entry.index === undefined ? '' : ` ${entry.index}`}`,
      good: entry.expect === 'pass',
      bundle: () => bundleWithin(readFileSync(join(folder, entry.file), 'utf8'), entry.index),
      trustedRoot: publicGoodRoot,
      policy: () => exactly(entry.identity ?? 'nobody', entry.issuer ?? 'nobody'),
      artifact: undefined,
      digest: { hash: hash as HashName, digest: parseHex(hex) },
    };
  });
}

// A file is a bundle, one bundle to a line, or the answer of the npm registry.
function bundleWithin(text: string, index: number | undefined): Uint8Array {
  if (index === undefined) return Buffer.from(text);
  const first = text.trimStart().split('\n', 1)[0] ?? '';
  const lines = first.endsWith('}');
  const bundle = lines
    ? (text.trim().split('\n')[index] ?? '')
    : JSON.stringify((JSON.parse(text) as { attestations: { bundle: unknown }[] }).attestations[index]?.bundle);
  return Buffer.from(bundle);
}

export const sampleNamed = (samples: readonly Sample[], name: string): Sample => {
  const sample = samples.find((each) => each.name === name);
  if (sample === undefined) throw new Error(`internal: no sample ${name}`);
  return sample;
};

export const digestOnly = ({ hash, digest: value }: Sample['digest']): Artifact => ({ digests: { [hash]: value } });

/** All digests, as a file gives them. */
export function wholeArtifact(bytes: Uint8Array): Artifact {
  const hashes: readonly HashName[] = ['sha256', 'sha384', 'sha512'];
  return { digests: Object.fromEntries(hashes.map((hash) => [hash, digest(hash, bytes)])), chunks: () => [bytes] };
}

export const parsedBundle = (sample: Sample): Bundle => parseBundle(sample.bundle());
