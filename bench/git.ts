// Git signatures against a local stack: what signing adds to a commit, what showing 1,000 signatures one by one costs, and
// verifying the same 1,000 in one process. gitsign beside it in the same run, where it is installed.
import { mock } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { httpOf } from '../cmd/http.ts';
import { fetchDevelopmentToken } from '../cmd/token.ts';
import { hallmark, percentile, printReport, type Row, readFlags } from './report.ts';
import { environment, type Program, peer } from './run.ts';
import { startServer } from './server.ts';

interface Cost {
  readonly ms: number;
  /** Of the program and all that it ran. */
  readonly cpuMs: number;
}

/** One run, which has to succeed. */
function costOf({ argv, cwd, env }: Program): Cost {
  const start = performance.now();
  const { exitCode, stderr, resourceUsage } = Bun.spawnSync([...argv], {
    cwd,
    env,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  });
  if (exitCode !== 0) throw new Error(`${argv.join(' ')} ended with ${exitCode}:\n${stderr}`);
  return { ms: performance.now() - start, cpuMs: Number(resourceUsage.cpuTime.total) / 1000 };
}

const rowOf = (what: string, costs: readonly Cost[], more: Row = {}): Row => ({
  what,
  'p50 ms': percentile(
    costs.map(({ ms }) => ms),
    0.5,
  ),
  'p99 ms': percentile(
    costs.map(({ ms }) => ms),
    0.99,
  ),
  'CPU ms': percentile(
    costs.map(({ cpuMs }) => cpuMs),
    0.5,
  ),
  ...more,
});

const { json, runs } = readFlags(20);
const IDENTITY = 'you@example.com';
const COMMITS = 1000;
/** Repeats of a command that takes a minute. */
const LONG_RUNS = 1;

const spent = { checks: 0 };
let share = 0;
const timed =
  <A extends readonly unknown[], R>(run: (...args: A) => R) =>
  (...args: A): R => {
    const start = performance.now();
    const result = run(...args);
    spent.checks += performance.now() - start;
    return result;
  };
const checks = { ...(await import('../core/crypto/verify.ts')) };
mock.module('../core/crypto/verify.ts', () => ({
  ...checks,
  isValidSignature: timed(checks.isValidSignature),
  isValidDigestSignature: timed(checks.isValidDigestSignature),
}));
const { chooseServices } = await import('../core/sign/services.ts');
const { identitySigner } = await import('../core/sign/signer.ts');
const { parseIdentityToken } = await import('../core/sign/identity-token.ts');
const { parseClientTrustConfig } = await import('../core/trust/client-trust-config.ts');
const { joinObject, parseSignedObject } = await import('../gitsign/object.ts');
const { objectId } = await import('../gitsign/object-id.ts');
const { signGitPayload } = await import('../gitsign/sign.ts');
const { parseArmor, parseCmsSignature, serializeArmor } = await import('../gitsign/signature.ts');
const { verifyGitSignature } = await import('../gitsign/verify.ts');

const directory = mkdtempSync(join(tmpdir(), 'hallmark-bench-'));
const server = await startServer(directory);
const http = httpOf({
  fetch: (url: string, init: unknown) => fetch(url, init as never),
  now: () => new Date(),
} as never);
const token = (): Promise<string> => fetchDevelopmentToken(http, server.devIssuer, IDENTITY);
const gitsign = peer('gitsign-0.16.0/gitsign');

const env: Record<string, string> = {
  ...environment(directory),
  GIT_CONFIG_NOSYSTEM: '1',
  SIGSTORE_ID_TOKEN: await token(),
};
const program = (name: string, cwd: string, ...argv: string[]): Program => ({ name, argv, cwd, env });
const run = (...argv: string[]): Cost => costOf(program('', directory, ...argv));
for (const [key, value] of [
  ['user.name', 'You'],
  ['user.email', IDENTITY],
  ['gpg.format', 'x509'],
  ['gpg.x509.program', hallmark],
  ['gitsign.fulcio', server.url],
  ['gitsign.rekor', server.url],
  ['gitsign.issuer', server.devIssuer],
  ['gitsign.rekorMode', 'offline'],
] as const) {
  run('git', 'config', '--global', key, value);
}
const trust = await (await fetch(`${server.url}/tuf/1.root.json`)).arrayBuffer();
const fingerprint = new Bun.CryptoHasher('sha256').update(trust).digest('hex');
run(hallmark, 'trust', 'add', server.url, '--name', 'local', '--use', '--fingerprint', `sha256:${fingerprint}`);
if (gitsign !== undefined) {
  for (const name of ['rekor.pub', 'ctfe.pub', 'fulcio.pem']) {
    writeFileSync(join(directory, name), await (await fetch(`${server.url}/${name}`)).text());
  }
  env['SIGSTORE_REKOR_PUBLIC_KEY'] = join(directory, 'rekor.pub');
  env['SIGSTORE_CT_LOG_PUBLIC_KEY_FILE'] = join(directory, 'ctfe.pub');
  env['GITSIGN_FULCIO_ROOT'] = join(directory, 'fulcio.pem');
  run(gitsign, 'initialize', '--mirror', `${server.url}/tuf`, '--root', `${server.url}/tuf/1.root.json`);
}

const rows: Row[] = [];
commitRows();
const repository = await signedRepository();
verifyRows();
rows.push(await libraryRow());
run(hallmark, 'agent', 'stop');
await server.kill();
rmSync(directory, { recursive: true, force: true });
printReport(json, 'git', runs, rows, [
  `${COMMITS} commits, each with a certificate of its own and its log entry in the signature; the local authority signs with P-256.` +
    ` Long commands are run ${LONG_RUNS} time. The agent is warm: one login came before.`,
  `In one process, ${Math.round(share * 100)} % of the time of verifying a commit is inside signature checks.`,
  ...(gitsign === undefined ? ['gitsign is not installed: .ci/peers gitsign'] : []),
]);

function commitRows(): void {
  const cwd = join(directory, 'commits');
  run('git', 'init', '-q', cwd);
  const commit = ['commit', '-q', '--allow-empty', '-m', 'x'];
  const programs = [
    program('git commit, unsigned', cwd, 'git', ...commit),
    program('git commit -S, warm agent', cwd, 'git', ...commit, '-S'),
    program('git commit -S, no agent', cwd, 'git', '-c', 'hallmark.agent=false', ...commit, '-S'),
    ...(gitsign === undefined
      ? []
      : [program('git commit -S, gitsign', cwd, 'git', '-c', `gpg.x509.program=${gitsign}`, ...commit, '-S')]),
  ];
  const costs: Cost[][] = programs.map(() => []);
  for (let i = -2; i < runs; i++) {
    for (const [j, each] of programs.entries()) {
      const cost = costOf(each);
      if (i >= 0) costs[j]?.push(cost);
    }
  }
  const medians = costs.map((taken) =>
    percentile(
      taken.map(({ ms }) => ms),
      0.5,
    ),
  );
  for (const [i, { name }] of programs.entries()) {
    const over = i === 0 ? null : (medians[i] ?? 0) - (medians[0] ?? 0);
    rows.push(rowOf(name, costs[i] ?? [], { 'over unsigned ms': over }));
  }
}

/** A repository whose history is signed commits, made here so that it does not take a minute. */
async function signedRepository(): Promise<string> {
  const cwd = join(directory, 'signed');
  const files = join(directory, 'objects');
  mkdirSync(files);
  run('git', 'init', '-q', cwd);
  const answer = await fetch(`${server.url}/client_trust_config.json`);
  const { trustedRoot, signingConfig } = parseClientTrustConfig(new Uint8Array(await answer.arrayBuffer()));
  const chosen = chooseServices(signingConfig, new Date(), http.random, 1);
  const services = { ...chosen, timestampAuthorities: [] };
  const jwt = parseIdentityToken(await token());
  const tree = Bun.spawnSync(['git', 'mktree'], { cwd, env, stdin: Buffer.from('') })
    .stdout.toString()
    .trim();
  let parent: string | undefined;
  for (let i = 0; i < COMMITS; i++) {
    const person = `You <${IDENTITY}> ${1_700_000_000 + i} +0000`;
    const payload = Buffer.from(
      `tree ${tree}\n${parent === undefined ? '' : `parent ${parent}\n`}author ${person}\ncommitter ${person}\n\ncommit ${i}\n`,
    );
    const signer = await identitySigner({
      http,
      certificateAuthority: services.certificateAuthority,
      trustedRoot,
      token: async () => jwt,
    });
    const { cms } = await signGitPayload(payload, { rekorMode: 'offline', matchCommitter: false }, signer, {
      http,
      services,
      trustedRoot,
    });
    const object = joinObject(payload, Buffer.from(serializeArmor('SIGNED MESSAGE', cms)), 'sha1');
    if (object === undefined) throw new Error('no object');
    parent = objectId('commit', object.body, 'sha1');
    writeFileSync(join(files, String(i)), object.body);
  }
  const names = Array.from({ length: COMMITS }, (_, i) => join(files, String(i))).join('\n');
  Bun.spawnSync(['git', 'hash-object', '-w', '-t', 'commit', '--stdin-paths'], { cwd, env, stdin: Buffer.from(names) });
  costOf(program('', cwd, 'git', 'update-ref', 'refs/heads/main', parent ?? ''));
  costOf(program('', cwd, 'git', 'symbolic-ref', 'HEAD', 'refs/heads/main'));
  return cwd;
}

function verifyRows(): void {
  const oldest = Bun.spawnSync(['git', 'rev-list', '--max-parents=0', 'HEAD'], { cwd: repository, env })
    .stdout.toString()
    .trim();
  const range = `${oldest}..HEAD`;
  const programs: [Program, number][] = [
    [
      program(`hallmark git verify, ${COMMITS} commits`, repository, hallmark, 'git', 'verify', range, '--any-signer'),
      runs,
    ],
    [program(`git log --show-signature, ${COMMITS} commits`, repository, 'git', 'log', '--show-signature'), LONG_RUNS],
    ...(gitsign === undefined
      ? []
      : ([
          [
            program(
              `git log --show-signature, ${COMMITS} commits, gitsign`,
              repository,
              'git',
              '-c',
              `gpg.x509.program=${gitsign}`,
              'log',
              '--show-signature',
            ),
            LONG_RUNS,
          ],
        ] as [Program, number][])),
  ];
  for (const [each, times] of programs) {
    rows.push(
      rowOf(
        each.name,
        Array.from({ length: times }, () => costOf(each)),
      ),
    );
  }
}

/** The verifier alone on the same commits, and how much of it is signature checks. */
async function libraryRow(): Promise<Row> {
  const batch = Bun.spawnSync(['git', 'cat-file', '--batch-all-objects', '--batch-check'], { cwd: repository, env });
  const ids = batch.stdout
    .toString()
    .split('\n')
    .flatMap((line) => (line.includes(' commit ') ? [line.slice(0, 40)] : []));
  const bodies = ids.map((id) => Bun.spawnSync(['git', 'cat-file', 'commit', id], { cwd: repository, env }).stdout);
  const answer = await fetch(`${server.url}/client_trust_config.json`);
  const { trustedRoot } = parseClientTrustConfig(new Uint8Array(await answer.arrayBuffer()));
  const verifyAll = (): Cost => {
    const [start, cpu] = [performance.now(), process.cpuUsage()];
    spent.checks = 0;
    for (const body of bodies) {
      const { payload, signature } = parseSignedObject('commit', body, 'sha1');
      if (signature === undefined) throw new Error('unsigned');
      const parsed = parseCmsSignature(parseArmor(signature).der);
      verifyGitSignature(payload, signature, parsed, { trustedRootFor: () => trustedRoot, now: new Date() });
    }
    const { user, system } = process.cpuUsage(cpu);
    return { ms: performance.now() - start, cpuMs: (user + system) / 1000 };
  };
  verifyAll();
  const taken = Array.from({ length: 5 }, verifyAll);
  share = spent.checks / (taken.at(-1)?.ms ?? 1);
  return rowOf(`the verifier alone, ${bodies.length} commits`, taken);
}
