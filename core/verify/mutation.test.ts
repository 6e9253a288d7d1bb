// Changes of genuine bundles, one at a time: every changed byte, field and combination has to be rejected, with an error of
// ours. Bytes are sampled; where sampling starts moves from field to field.
import { describe, expect, test } from 'bun:test';
import { parseBundle } from '../bundle/bundle.ts';
import { serializeUtf8 } from '../bytes/bytes.ts';
import type { Json } from '../bytes/json.ts';
import { HallmarkError } from '../errors.ts';
import { parseTimestampResponse } from '../timestamp/response.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';
import { SAMPLES } from './testing-cases.ts';
import { digestOnly, NOW, publicSamples, type Sample, sampleNamed } from './testing-corpus.ts';
import { verifyBundle } from './verify.ts';

/** Every n-th byte of a long field is changed. */
const STRIDE = 29;

/** One bundle for each version, kind of entry, dialect and kind of signer. */
const ALL = [...SAMPLES, ...publicSamples()];
const NAMES = [
  'happy-path-v0.1',
  'happy-path-v0.2',
  'happy-path-v0.3',
  'rekor2-happy-path',
  'rekor2-dsse-happy-path',
  'rekor2-timestamp-with-embedded-cert',
  'managed-key-happy-path',
  'intoto-with-custom-trust-root',
  'js/bundleV01-dsse-with-proof.sigstore',
  'js/bundleV02-intoto.sigstore',
  'js/bundleV03-dsse.sigstore',
];

/** Hints that nobody signed. */
const UNCHECKED: readonly RegExp[] = [/\.keyid$/, /publicKey\.hint$/];
/**
 * What may be absent: a digest that is a hint only; the proof beside a promise in version 0.1; one proof of the time beside
 * another; and for a key, all proof that it signed at some time.
 */
const OPTIONAL: readonly RegExp[] = [/messageDigest$/];
const PROOF: readonly RegExp[] = [/\.inclusionProof$/, /\.checkpoint$/, /\.envelope$/];
const TIME: readonly RegExp[] = [/\.inclusionPromise$/, /timestampVerificationData/];
const OPTIONAL_IN: Readonly<Record<string, readonly RegExp[]>> = {
  'happy-path-v0.1': PROOF,
  'js/bundleV01-dsse-with-proof.sigstore': PROOF,
  'managed-key-happy-path': [...TIME, /tlogEntries$/, /tlogEntries\.0$/],
  'intoto-with-custom-trust-root': TIME,
};

type Path = readonly (string | number)[];
interface Leaf {
  readonly path: Path;
  readonly value: string | number;
}

function leavesOf(value: Json, path: Path = []): Leaf[] {
  if (typeof value === 'string' || typeof value === 'number') return [{ path, value }];
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([key, member]) =>
    leavesOf(member, [...path, Array.isArray(value) ? Number(key) : key]),
  );
}

function containersOf(value: Json, path: Path = []): Path[] {
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([key, member]) => {
    const at = [...path, Array.isArray(value) ? Number(key) : key];
    return [at, ...containersOf(member, at)];
  });
}

/** True for a value that in protojson is the same as none. */
function isDefault(root: Json, path: Path): boolean {
  const value = path.reduce<Json>((at, key) => (at as Record<string | number, Json>)[key] as Json, root);
  return value === '0' || value === '' || (Array.isArray(value) && value.length === 0);
}

/** A copy with `change` made to the member at `path`; undefined removes it. */
function changed(root: Json, path: Path, change: (value: Json) => Json | undefined): Json {
  const copy = structuredClone(root);
  let at = copy as Record<string | number, Json>;
  for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, Json>;
  const last = path.at(-1) as string | number;
  const value = change(at[last] as Json);
  if (value !== undefined) at[last] = value;
  else if (Array.isArray(at)) at.splice(last as number, 1);
  else delete at[last];
  return copy;
}

const roots = new Map<string, TrustedRoot>();

/** Undefined if it is rejected as it should be, else what happened. */
function outcome(sample: Sample, bundle: Json): string | undefined {
  const trustedRoot = roots.get(sample.name) ?? sample.trustedRoot();
  roots.set(sample.name, trustedRoot);
  try {
    verifyBundle(parseBundle(serializeUtf8(JSON.stringify(bundle))), {
      trustedRoot,
      policy: sample.policy(),
      artifact: digestOnly(sample.digest),
      now: NOW,
    });
    return 'accepted';
  } catch (error) {
    return error instanceof HallmarkError ? undefined : `${error}`;
  }
}

const isBase64 = (text: string): boolean =>
  text.length > 3 && /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text);
const isAmong = (path: Path, list: readonly RegExp[]): boolean => list.some((each) => each.test(path.join('.')));
const isChecked = (path: Path): boolean => !isAmong(path, UNCHECKED);

// Cosignatures of witnesses are not verified, nor are certificates that come with a timestamp but are not the signer's: a
// change of the signer's own name in its certificate makes one of these.
function withoutWitnesses(bundle: Json): Json {
  const envelope = leavesOf(bundle).find(({ path }) => path.at(-1) === 'envelope');
  if (envelope === undefined) return bundle;
  return changed(bundle, envelope.path, (text) => /^.*?\n\n[^\n]*\n/s.exec(text as string)?.[0] ?? text);
}

function isInEmbeddedCertificate({ path, value }: Leaf, at: number): boolean {
  if (path.at(-1) !== 'signedTimestamp') return false;
  const response = Buffer.from(value as string, 'base64');
  return parseTimestampResponse(response).certificates.some((certificate) => {
    const start = response.indexOf(certificate);
    return start <= at && at < start + certificate.length;
  });
}

interface Mutant {
  readonly at: number;
  readonly value: string | number;
}

/** Values like `value` with one byte or character changed, and which one. */
function* mutants({ path, value }: Leaf): Generator<Mutant> {
  if (typeof value === 'number') {
    yield { at: 0, value: value + 1 };
    return;
  }
  if (/^[0-9]+$/.test(value)) {
    yield { at: 0, value: String(BigInt(value) + 1n) };
    return;
  }
  const start = path.join('.').length % STRIDE;
  if (isBase64(value)) {
    const bytes = Buffer.from(value, 'base64');
    for (const at of new Set([0, bytes.length - 1, ...positions(start, bytes.length)])) {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] as number) ^ (1 << (at % 8));
      yield { at, value: copy.toString('base64') };
    }
    return;
  }
  for (const at of new Set([0, value.length - 1, ...positions(start, value.length)])) {
    yield { at, value: value.slice(0, at) + String.fromCharCode(value.charCodeAt(at) ^ 1) + value.slice(at + 1) };
  }
}

function* positions(start: number, length: number): Generator<number> {
  for (let at = start; at < length; at += STRIDE) yield at;
}

describe.if(SAMPLES.length > 0)('changed bundles are rejected', () => {
  const samples = NAMES.map((name) => sampleNamed(ALL, name));
  const bundles = new Map(
    samples.map((sample) => [
      sample.name,
      withoutWitnesses(JSON.parse(Buffer.from(sample.bundle()).toString()) as Json),
    ]),
  );
  const bundleOf = (sample: Sample): Json => structuredClone(bundles.get(sample.name) as Json);

  test.each(samples.map((sample) => [sample.name, sample] as const))('bytes of %s', (_, sample) => {
    const bundle = bundleOf(sample);
    expect(outcome(sample, bundle)).toBe('accepted');
    const survivors: string[] = [];
    let tried = 0;
    for (const leaf of leavesOf(bundle).filter(({ path }) => isChecked(path))) {
      for (const { at, value } of mutants(leaf)) {
        tried++;
        const result = outcome(
          sample,
          changed(bundle, leaf.path, () => value),
        );
        if (result !== undefined && !isInEmbeddedCertificate(leaf, at))
          survivors.push(`byte ${at} of ${leaf.path.join('.')}: ${result}`);
      }
    }
    expect(survivors).toEqual([]);
    expect(tried).toBeGreaterThan(100);
  });

  test.each(samples.map((sample) => [sample.name, sample] as const))('fields of %s dropped or doubled', (_, sample) => {
    const bundle = bundleOf(sample);
    const optional = [...OPTIONAL, ...(OPTIONAL_IN[sample.name] ?? [])];
    const survivors: string[] = [];
    for (const path of containersOf(bundle).filter(isChecked)) {
      if (!isAmong(path, optional) && !isDefault(bundle, path)) {
        const without = outcome(
          sample,
          changed(bundle, path, () => undefined),
        );
        if (without !== undefined) survivors.push(`without ${path.join('.')}: ${without}`);
      }
      if (typeof path.at(-1) !== 'number') continue;
      const twice = outcome(
        sample,
        changed(bundle, path.slice(0, -1), (list) => [
          ...(list as Json[]),
          (list as Json[])[path.at(-1) as number] as Json,
        ]),
      );
      if (twice !== undefined) survivors.push(`twice ${path.join('.')}: ${twice}`);
    }
    expect(survivors).toEqual([]);
  });

  test('parts of one bundle in another', () => {
    const survivors: string[] = [];
    for (const into of samples) {
      for (const from of samples) {
        for (const part of ['verificationMaterial', 'messageSignature', 'dsseEnvelope']) {
          const bundle = bundleOf(into) as Record<string, Json>;
          const other = bundleOf(from) as Record<string, Json>;
          if (other[part] === undefined || JSON.stringify(other[part]) === JSON.stringify(bundle[part])) continue;
          const result = outcome(into, { ...bundle, [part]: other[part] });
          if (result !== undefined) survivors.push(`${part} of ${from.name} in ${into.name}: ${result}`);
        }
      }
    }
    expect(survivors).toEqual([]);
  });
});
