// What keeps the repository as its documents say it is.
import { expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERRORS } from '../core/errors.ts';
import packageJson from '../package.json' with { type: 'json' };

const root = join(import.meta.dir, '..');

test('docs/errors.md lists every code under its kind, and no other', () => {
  const listed: Record<string, string> = {};
  let kind = '';
  for (const line of readFileSync(join(root, 'docs/errors.md'), 'utf8').split('\n')) {
    kind = /^## (\w+)$/.exec(line)?.[1] ?? kind;
    const code = /^\| `([A-Z_]+)` \|/.exec(line)?.[1];
    if (code !== undefined) listed[code] = kind;
  }
  expect(listed).toEqual({ ...ERRORS });
});

test('the top level holds what ARCHITECTURE.md knows, and nothing else', () => {
  const tracked = Bun.spawnSync(['git', 'ls-files'], { cwd: root }).stdout.toString().trim().split('\n');
  const known = [
    ...['.biome.json', '.ci', '.gitignore', 'ARCHITECTURE.md', 'CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md'],
    ...['bench', 'bunfig.toml', 'ca', 'cmd', 'core', 'docs', 'gitsign', 'install.sh', 'oci', 'server.ts', 'tlog'],
    ...['package-lock.json', 'package.json', 'server.test.ts', 'tsconfig.json'],
  ];
  const unknown = new Set(
    tracked.map((path) => path.split('/', 1)[0] as string).filter((name) => !known.includes(name)),
  );
  expect([...unknown]).toEqual([]);
});

test('dependencies are pinned to one version', () => {
  const versions = Object.values({ ...packageJson.dependencies, ...packageJson.devDependencies });
  for (const version of versions) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
});

test('no file of the product names a path of a developer machine', () => {
  const folders = ['core', 'ca', 'tlog', 'cmd', 'bench', 'docs', '.ci'];
  const files = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(root, folder, name)),
  );
  for (const file of files.filter((name) => /\.(?:ts|md|txt|json|sh|mjs|cjs)$/.test(name))) {
    // Written in two pieces, or this file would be found.
    expect([file, readFileSync(file, 'utf8').includes(`/work${'/'}`)]).toEqual([file, false]);
  }
});
