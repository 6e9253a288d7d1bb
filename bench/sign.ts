// Signing with an identity token, from process start to exit, against a local stack: certificate, timestamp, log entry,
// bundle. Hallmark and cosign in turns, on Rekor v1 and v2.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hallmark, percentile, printReport, type Row, readFlags } from './report.ts';
import { environment, type Program, peer, timeOf } from './run.ts';
import { startServer } from './server.ts';

const { json, runs } = readFlags(100);
const IDENTITY = 'you@example.com';
/** Well within a token's lifetime. */
const RUNS_PER_TOKEN = 25;

const directory = mkdtempSync(join(tmpdir(), 'hallmark-bench-'));
const server = await startServer(directory);
const configs = ['signing_config.v0.2.json', 'signing_config_rekor_v2.v0.2.json'];
for (const name of ['trusted_root.json', ...configs]) {
  writeFileSync(join(directory, name), await (await fetch(`${server.url}/${name}`)).text());
}
const token = (): string =>
  Bun.spawnSync([hallmark, 'token', '--issuer', server.devIssuer, '--email', IDENTITY], {
    env: environment(directory),
  }).stdout.toString();

const cosign = peer('cosign-3.1.3/cosign');
const program = (name: string, ...argv: string[]): Program => ({
  name,
  argv,
  cwd: directory,
  env: environment(directory),
});
const programs = configs.flatMap((config, i) => {
  const flags = ['--identity-token', 'token', '--trusted-root', 'trusted_root.json', '--signing-config', config];
  const sign = program(`hallmark sign, Rekor v${i + 1}`, hallmark, 'sign', 'file', ...flags, '--bundle', 'a.json');
  if (cosign === undefined) return [sign];
  const blob = ['sign-blob', '--yes', ...flags, '--bundle', 'b.json', 'file'];
  return [sign, program(`cosign sign-blob, Rekor v${i + 1}`, cosign, ...blob)];
});

const times: number[][] = programs.map(() => []);
for (let run = -1; run < runs; run++) {
  if (run === -1 || run % RUNS_PER_TOKEN === 0) writeFileSync(join(directory, 'token'), token());
  for (const [i, each] of programs.entries()) {
    writeFileSync(join(directory, 'file'), crypto.randomUUID());
    const time = timeOf(each);
    // The first turn fills the caches of the machine.
    if (run >= 0) times[i]?.push(time);
  }
}
await server.kill();
rmSync(directory, { recursive: true, force: true });

const rows: Row[] = programs.map(({ name }, i) => {
  const taken = times[i] ?? [];
  return {
    program: name,
    'p50 ms': percentile(taken, 0.5),
    'p99 ms': percentile(taken, 0.99),
    'min ms': Math.min(...taken),
    'max ms': Math.max(...taken),
  };
});
printReport(json, 'sign', runs, rows, cosign === undefined ? ['cosign is not installed: .ci/peers cosign'] : []);
