// The README's first command, after the build: starts the stack on a free port, signs a file through the embedded issuer,
// verifies it offline, tampers with it and shows the rejection, stops the stack. Leaves nothing behind but dist/hallmark.
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const hallmark = join(import.meta.dir, '..', 'dist', 'hallmark');
const directory = mkdtempSync(join(tmpdir(), 'hallmark-quickstart-'));
const env = { HOME: directory, PATH: process.env['PATH'] ?? '', NO_PROXY: '127.0.0.1' };
const EMAIL = 'you@example.com';

/** Shows a command and what it prints; it must end with `code`. Answers its standard output. */
function run(args: string[], code = 0): string {
  console.log(`\n$ hallmark ${args.join(' ')}`);
  const { stdout, stderr, exitCode } = Bun.spawnSync([hallmark, ...args], { cwd: directory, env, stdin: 'ignore' });
  process.stdout.write(stdout);
  process.stdout.write(stderr);
  if (exitCode !== code) throw new Error(`ended with ${exitCode}, not ${code}`);
  return stdout.toString();
}

const server = Bun.spawn(
  [hallmark, 'serve', '--listen', '127.0.0.1:0', '--data', join(directory, 'data'), '--log-format', 'json'],
  {
    cwd: directory,
    env,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  },
);
try {
  console.log('$ hallmark serve --listen 127.0.0.1:0 --data data &');
  const ready = await readyEvent(server.stderr);
  console.log(`ready at ${ready.url}: CA, CT log, transparency log, timestamp authority, TUF repository, issuer`);

  run(['trust', 'add', ready.url, '--name', 'local', '--fingerprint', `sha256:${ready.rootFingerprint}`]);
  run(['trust', 'use', 'local']);
  writeFileSync(join(directory, 'hello.txt'), 'hello\n');
  console.log(`\n$ echo hello > hello.txt\n$ hallmark token --issuer ${ready.devIssuer} --email ${EMAIL} > token.txt`);
  const token = Bun.spawnSync([hallmark, 'token', '--issuer', ready.devIssuer, '--email', EMAIL], {
    cwd: directory,
    env,
  });
  if (token.exitCode !== 0) throw new Error(token.stderr.toString());
  writeFileSync(join(directory, 'token.txt'), token.stdout);
  run(['sign', 'hello.txt', '--identity-token', 'token.txt']);

  const identity = ['--certificate-identity', EMAIL, '--certificate-oidc-issuer', ready.devIssuer];
  run(['verify', 'hello.txt', ...identity]);

  console.log('\n$ echo tampered >> hello.txt');
  appendFileSync(join(directory, 'hello.txt'), 'tampered\n');
  run(['verify', 'hello.txt', ...identity], 12);
  writeFileSync(join(directory, 'hello.txt'), 'hello\n');

  server.kill('SIGTERM');
  if ((await server.exited) !== 0) throw new Error('serve did not end cleanly');
  console.log('\n$ kill %1; echo hello > hello.txt     # the stack is gone, verification needs no network');
  run(['verify', 'hello.txt', ...identity]);
  console.log('\nSigned by an identity, logged, verified offline, tampering refused. Your binary: dist/hallmark');
} finally {
  server.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
}

interface Ready {
  url: string;
  devIssuer: string;
  rootFingerprint: string;
}

async function readyEvent(stream: ReadableStream<Uint8Array>): Promise<Ready> {
  let text = '';
  for await (const chunk of stream) {
    text += Buffer.from(chunk).toString();
    for (const line of text.split('\n').slice(0, -1)) {
      const event = JSON.parse(line) as Ready & { event: string };
      if (event.event === 'ready') return event;
    }
  }
  throw new Error(`serve ended before it was ready:\n${text}`);
}
