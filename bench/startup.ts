// Cold processes: `hallmark --version`, and the offline verification of a public-good bundle beside cosign's.
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hallmark, percentile, printReport, type Row, readFlags } from './report.ts';
import { environment, memoryOf, type Program, peer, timeInTurns } from './run.ts';

const { json, runs } = readFlags(30);
const shared = new URL('../../shared/', import.meta.url).pathname;
const directory = mkdtempSync(join(tmpdir(), 'hallmark-bench-'));

// A signature over a file by an identity of GitHub Actions, logged in Rekor v1, with its inclusion promise and proof.
const files = {
  'a.txt': 'corpus/conformance/a.txt',
  'a.txt.sigstore.json': 'corpus/conformance/happy-path-v0.3/bundle.sigstore.json',
  'trusted_root.json': 'trust/public-good.trusted_root.json',
};
for (const [name, path] of Object.entries(files)) {
  if (!existsSync(join(shared, path)))
    throw new Error(`${join(shared, path)} is missing: the bundle lies beside the checkout`);
  copyFileSync(join(shared, path), join(directory, name));
}
const identity = [
  '--certificate-identity',
  'https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main',
  '--certificate-oidc-issuer',
  'https://token.actions.githubusercontent.com',
];
const root = ['--trusted-root', 'trusted_root.json'];
const cosign = peer('cosign-3.1.3/cosign');
const program = (name: string, ...argv: string[]): Program => ({
  name,
  argv,
  cwd: directory,
  env: environment(directory),
});

const VERIFY = 'hallmark verify --trusted-root';
const COSIGN = 'cosign verify-blob --trusted-root';
const programs = [
  program('hallmark --version', hallmark, '--version'),
  program('hallmark verify (trust built in)', hallmark, 'verify', 'a.txt', ...identity),
  program(VERIFY, hallmark, 'verify', 'a.txt', ...identity, ...root),
  ...(cosign === undefined
    ? []
    : [
        program('cosign version', cosign, 'version'),
        program(COSIGN, cosign, 'verify-blob', '--bundle', 'a.txt.sigstore.json', ...identity, ...root, 'a.txt'),
      ]),
];

const times = timeInTurns(programs, runs);
const memory = programs.map((each) => [1, 2, 3].map(() => memoryOf(each)));
const rows: Row[] = programs.map(({ name }, i) => {
  const taken = times[i] ?? [];
  const most = (memory[i] ?? []).filter((value) => value !== null);
  return {
    program: name,
    'median ms': percentile(taken, 0.5),
    'min ms': Math.min(...taken),
    'max ms': Math.max(...taken),
    'peak MB': most.length === 0 ? null : percentile(most, 0.5),
  };
});
rmSync(directory, { recursive: true, force: true });

const value = (name: string, column: string): number => Number(rows.find((row) => row['program'] === name)?.[column]);
const notes =
  cosign === undefined
    ? ['cosign is not installed: .ci/peers cosign']
    : [
        `verify takes ${(value(VERIFY, 'median ms') / value(COSIGN, 'median ms')).toFixed(2)} of cosign's wall time` +
          ` and ${(value(VERIFY, 'peak MB') / value(COSIGN, 'peak MB')).toFixed(2)} of its memory`,
      ];
printReport(json, 'startup', runs, rows, notes);
