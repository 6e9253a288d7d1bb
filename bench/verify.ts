// Verifications per second in one process: of a public-good bundle and of bundles of our own stack. First the verifier alone,
// on one core and with the time inside signature checks; then `hallmark verify FOLDER`, files and output included, on one core
// and on all; and @sigstore/verify under Node on the same bundles.
import { mock } from 'bun:test';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { VerifyOptions } from '../core/verify/verify.ts';
import { hallmark, percentile, printReport, type Row, readFlags } from './report.ts';
import { environment, peer, timeOf } from './run.ts';
import { startServer } from './server.ts';

const { json, runs } = readFlags(10);
/** Of one run of the verifier in this process, or of the peer. */
const RUN_MS = 400;
/** Files of one run of the binary. */
const FILES = 3000;
const OWN_BUNDLES = 16;

// The clock goes around each signature check (and around each digest) before the verifier is loaded with them.
const spent = { checks: 0, digests: 0 };
const timed =
  <A extends readonly unknown[], R>(what: keyof typeof spent, run: (...args: A) => R) =>
  (...args: A): R => {
    const start = performance.now();
    const result = run(...args);
    spent[what] += performance.now() - start;
    return result;
  };
const checks = { ...(await import('../core/crypto/verify.ts')) };
const hashes = { ...(await import('../core/crypto/hash.ts')) };
mock.module('../core/crypto/verify.ts', () => ({
  isValidSignature: timed('checks', checks.isValidSignature),
  isValidDigestSignature: timed('checks', checks.isValidDigestSignature),
}));
mock.module('../core/crypto/hash.ts', () => ({ ...hashes, sha256: timed('digests', hashes.sha256) }));
const { parseBundle } = await import('../core/bundle/bundle.ts');
const { parseTrustedRoot } = await import('../core/trust/trusted-root.ts');
const { verifyBundle } = await import('../core/verify/verify.ts');
const { isSignedWith } = await import('../core/x509/algorithms.ts');
const { parseCertificate } = await import('../core/x509/certificate.ts');

interface Sample {
  readonly bundle: string;
  readonly data: string;
}

/** Signatures of one instance by one identity. */
interface Series {
  readonly name: string;
  readonly samples: readonly [Sample, ...Sample[]];
  readonly trustedRoot: string;
  readonly identity: string;
  readonly issuer: string;
}

const directory = mkdtempSync(join(tmpdir(), 'hallmark-bench-'));
const all = [publicGood(), await ownStack()];
const node = peer('sigstore-js-4.1.1/node_modules');
const rows: Row[] = all.flatMap((series) => rowsOf(series));
rmSync(directory, { recursive: true, force: true });
printReport(json, 'verify', runs, rows, [
  'One trusted root is parsed once, and what its authorities certified of each other is verified once. "another signer each' +
    ' time" adds the check of the certificate by its issuer, which a loop over the same bundle would only do at first.',
  ...(node === undefined ? ['sigstore-js is not installed: .ci/peers js'] : []),
]);

function publicGood(): Series {
  const shared = (path: string): string => readFileSync(new URL(`../../shared/${path}`, import.meta.url), 'utf8');
  return {
    name: 'public-good',
    samples: [
      {
        bundle: shared('corpus/conformance/happy-path-v0.3/bundle.sigstore.json'),
        data: shared('corpus/conformance/a.txt'),
      },
    ],
    trustedRoot: shared('trust/public-good.trusted_root.json'),
    identity:
      'https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main',
    issuer: 'https://token.actions.githubusercontent.com',
  };
}

/** Bundles of a server of our own, each with a certificate of its own, a signed timestamp and an entry of Rekor v1. */
async function ownStack(): Promise<Series> {
  const identity = 'you@example.com';
  const server = await startServer(directory);
  try {
    const fetched = async (name: string): Promise<string> => {
      const text = await (await fetch(`${server.url}/${name}`)).text();
      writeFileSync(join(directory, name), text);
      return text;
    };
    const trustedRoot = await fetched('trusted_root.json');
    await fetched('signing_config.v0.2.json');
    const env = environment(directory);
    const token = Bun.spawnSync([hallmark, 'token', '--issuer', server.devIssuer, '--email', identity], { env });
    writeFileSync(join(directory, 'token'), token.stdout);
    const flags = ['--identity-token', 'token', '--trusted-root', 'trusted_root.json'];
    const samples = Array.from({ length: OWN_BUNDLES }, (_, i): Sample => {
      const name = `own-${i}`;
      writeFileSync(join(directory, name), name);
      const argv = [hallmark, 'sign', ...flags, '--signing-config', 'signing_config.v0.2.json', name];
      timeOf({ name, argv, cwd: directory, env });
      return { bundle: readFileSync(join(directory, `${name}.sigstore.json`), 'utf8'), data: name };
    });
    return { name: 'own', samples: samples as [Sample, ...Sample[]], trustedRoot, identity, issuer: server.devIssuer };
  } finally {
    await server.kill();
  }
}

function rowsOf(series: Series): Row[] {
  const one = series.name;
  const verifier = [
    verifierRow(`${one}: verifier, one core, the same signers again`, series, false),
    verifierRow(`${one}: verifier, one core, another signer each time`, series, true),
  ];
  const commands = [
    commandRow(`${one}: hallmark verify FOLDER, one core`, series, 1),
    commandRow(`${one}: hallmark verify FOLDER, ${availableParallelism()} cores`, series, availableParallelism()),
  ];
  const peers = node === undefined ? [] : [peerRow(`${one}: @sigstore/verify on Node, one core`, series, node)];
  const slowest = peers[0]?.['per second'];
  return [...verifier, ...commands, ...peers].map((row) => ({
    ...row,
    ratio: typeof slowest === 'number' ? (row['per second'] as number) / slowest : null,
  }));
}

/** The verifier in this process: parse a bundle, verify it, no verdict kept. */
function verifierRow(name: string, series: Series, newSigners: boolean): Row {
  const trustedRoot = parseTrustedRoot(Buffer.from(series.trustedRoot));
  const exact = (value: string) => ({ kind: 'exact', value }) as const;
  const inputs = series.samples.map((sample) => ({
    bytes: new Uint8Array(Buffer.from(sample.bundle)),
    options: {
      trustedRoot,
      policy: { identities: [{ issuer: exact(series.issuer), subjectAlternativeName: exact(series.identity) }] },
      artifact: { digests: { sha256: hashes.sha256(Buffer.from(sample.data)) } },
      now: new Date(),
    } satisfies VerifyOptions,
    issuedBy: issuerOf(sample),
  }));
  const results = Array.from({ length: runs + 2 }, () => {
    spent.checks = 0;
    spent.digests = 0;
    const start = performance.now();
    let done = 0;
    let elapsed = 0;
    for (; elapsed < RUN_MS; elapsed = performance.now() - start) {
      for (const { bytes, options, issuedBy } of inputs) {
        const { signer } = verifyBundle(parseBundle(bytes), options);
        if (signer.kind !== 'certificate') throw new Error('not signed with a certificate');
        const { signatureAlgorithm, tbs, signature } = signer.certificate;
        if (newSigners && !isSignedWith(issuedBy, signatureAlgorithm, tbs, signature)) throw new Error('not issued');
        done++;
      }
    }
    return { perSecond: (done / elapsed) * 1000, checks: spent.checks / elapsed, digests: spent.digests / elapsed };
  }).slice(2);
  const median = (of: (result: (typeof results)[number]) => number): number => percentile(results.map(of), 0.5);
  return {
    what: name,
    'per second': median(({ perSecond }) => perSecond),
    'signature checks %': 100 * median(({ checks }) => checks),
    'digests %': 100 * median(({ digests }) => digests),
  };

  function issuerOf({ bundle }: Sample) {
    const { material } = parseBundle(Buffer.from(bundle));
    const [der] = material.kind === 'certificates' ? material.certificates : [];
    if (der === undefined) throw new Error('not signed with a certificate');
    const leaf = parseCertificate(der);
    const issuers = trustedRoot.certificateAuthorities.map(({ chain }) => chain[0]?.publicKey);
    const issuer = issuers.find((key) => key && isSignedWith(key, leaf.signatureAlgorithm, leaf.tbs, leaf.signature));
    if (issuer === undefined) throw new Error('no authority issued the certificate');
    return issuer;
  }
}

/** The whole command on a folder: start, files, output. */
function commandRow(name: string, series: Series, jobs: number): Row {
  const folder = join(directory, 'folder');
  mkdirSync(folder);
  writeFileSync(join(directory, 'root.json'), series.trustedRoot);
  for (const [i, { bundle, data }] of series.samples.entries()) {
    writeFileSync(join(directory, 'one'), data);
    writeFileSync(join(directory, 'one.sigstore.json'), bundle);
    for (let file = i; file < FILES; file += series.samples.length) {
      copyFileSync(join(directory, 'one'), join(folder, `${file}`));
      copyFileSync(join(directory, 'one.sigstore.json'), join(folder, `${file}.sigstore.json`));
    }
  }
  const flags = ['--certificate-identity', series.identity, '--certificate-oidc-issuer', series.issuer];
  const argv = [hallmark, 'verify', 'folder', '--trusted-root', 'root.json', '--jobs', String(jobs), ...flags];
  const times = Array.from({ length: Math.ceil(runs / 2) }, () =>
    timeOf({ name, argv: [...argv, '--output', 'json'], cwd: directory, env: environment(directory) }),
  );
  rmSync(folder, { recursive: true });
  return { what: name, 'per second': (FILES / percentile(times, 0.5)) * 1000 };
}

function peerRow(name: string, series: Series, modules: string): Row {
  const { exitCode, stdout, stderr } = Bun.spawnSync(['node', join(import.meta.dir, 'verify-sigstore-js.cjs')], {
    env: { ...environment(directory), NODE_PATH: modules },
    stdin: Buffer.from(JSON.stringify({ ...series, runs, runMs: RUN_MS })),
  });
  if (exitCode !== 0) throw new Error(`sigstore-js: ${stderr}`);
  return { what: name, 'per second': percentile(JSON.parse(stdout.toString()) as number[], 0.5) };
}
