// Compiles dist/hallmark: one executable, minified, with bytecode, in parts that are read when they are imported. A default
// compiled binary reads bunfig.toml, .env, tsconfig.json and package.json from the directory it is run in; a verifier runs
// inside hostile ones, so all four are off.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import packageJson from '../package.json' with { type: 'json' };

const root = join(import.meta.dir, '..');
const git = Bun.spawnSync(['git', 'rev-parse', '--short=12', 'HEAD'], { cwd: root, stderr: 'ignore' });
const dirty = Bun.spawnSync(['git', 'status', '--porcelain', '--untracked-files=no'], { cwd: root, stderr: 'ignore' });
const commit = git.success
  ? git.stdout.toString().trim() + (dirty.stdout.toString().trim() === '' ? '' : '-dirty')
  : 'unknown';
const outfile = join(root, 'dist', 'hallmark');
mkdirSync(join(root, 'dist'), { recursive: true });

const define = {
  HALLMARK_VERSION: packageJson.version,
  HALLMARK_COMMIT: commit,
  HALLMARK_TARGET: `${process.platform}-${process.arch}`,
};
const build = Bun.spawnSync(
  [
    process.execPath,
    'build',
    '--compile',
    '--minify',
    '--bytecode',
    // In chunks, so that a command loads its own code alone; and compiled to machine code late, for most commands end
    // before that pays (what runs long calls Bun.unsafe.setJITPolicy(1)).
    '--format=esm',
    '--splitting',
    '--compile-jit-policy=50',
    '--no-compile-autoload-dotenv',
    '--no-compile-autoload-bunfig',
    '--no-compile-autoload-tsconfig',
    '--no-compile-autoload-package-json',
    ...Object.entries(define).flatMap(([name, value]) => ['--define', `${name}=${JSON.stringify(value)}`]),
    '--outfile',
    outfile,
    join(root, 'cmd', 'main.ts'),
  ],
  { cwd: root, stdout: 'ignore', stderr: 'inherit' },
);
if (!build.success) process.exit(1);
console.error(`built dist/hallmark ${packageJson.version} (${commit})`);
