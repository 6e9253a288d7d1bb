// A checkout that wants to run in whoever works in it: every file that a Bun program may read from the current directory,
// each with a trap. A sprung trap leaves a marker or changes what a command answers.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Packages that the binary carries inside; a copy in the directory must not be preferred. */
const SHADOWED = ['commander', 'undici', 'ora', 'cli-table3', 'jose', 'yaml', '@noble/curves', '@peculiar/x509'];

export interface HostileDirectory {
  /** Names of the traps that sprang since it was made or last asked. */
  readonly sprung: () => string[];
}

export function writeHostileDirectory(directory: string): HostileDirectory {
  const markers = join(directory, '.markers');
  const trap = (name: string): string =>
    `require('node:fs').mkdirSync(${JSON.stringify(join(markers, name.replaceAll('/', '_')))}, { recursive: true });\n`;
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  };

  write('preload.ts', trap('preload'));
  write(
    'bunfig.toml',
    `preload = ["./preload.ts"]
logLevel = "debug"
smol = true
[define]
"process.env.HOME" = "'/hostile'"
[test]
preload = ["./preload.ts"]
[run]
bun = true
[install]
registry = "http://127.0.0.1:9/"
`,
  );
  const environment = `HALLMARK_PASSWORD=hostile
COSIGN_PASSWORD=hostile
SIGSTORE_ID_TOKEN=eyJhbGciOiJub25lIn0.eyJzdWIiOiJob3N0aWxlIn0.
HOME=${directory}/home
XDG_CONFIG_HOME=${directory}/config
XDG_DATA_HOME=${directory}/data
GITHUB_ACTIONS=true
NODE_TLS_REJECT_UNAUTHORIZED=0
BUN_BE_BUN=1
BUN_OPTIONS=--preload=./preload.ts
BUN_INSPECT=127.0.0.1:0
NODE_OPTIONS=--require=./preload.ts
HTTP_PROXY=http://127.0.0.1:9
HTTPS_PROXY=http://127.0.0.1:9
TRAP_ENVIRONMENT=sprung
`;
  for (const suffix of ['', '.local', '.production', '.development', '.test']) write(`.env${suffix}`, environment);
  // A trust store in which somebody else is trusted under the name of the public instance.
  write('config/hallmark/config.json', '{"schemaVersion":1,"use":"hostile"}');
  write('data/hallmark/trust/hostile/trusted_root.json', '{}');

  write('trap-imports.js', trap('imports'));
  write('trap-paths.ts', trap('paths'));
  write(
    'package.json',
    JSON.stringify({
      name: 'hallmark',
      type: 'commonjs',
      main: './trap-imports.js',
      imports: { '#trap': './trap-imports.js', '#*': './trap-imports.js' },
      browser: { commander: './trap-imports.js', 'node:fs': './trap-imports.js' },
      overrides: { commander: 'file:./trap-imports.js' },
      bun: { preload: ['./preload.ts'] },
      scripts: { preinstall: 'touch .markers', verify: 'touch .markers' },
    }),
  );
  const paths = Object.fromEntries(['@trap/*', 'commander', 'undici'].map((name) => [name, ['./trap-paths.ts']]));
  write(
    'tsconfig.json',
    JSON.stringify({ compilerOptions: { baseUrl: '.', paths, jsx: 'react-jsx', jsxImportSource: 'trap' } }),
  );
  write('jsconfig.json', JSON.stringify({ compilerOptions: { baseUrl: '.', paths } }));
  write('.npmrc', 'registry=http://127.0.0.1:9/\nignore-scripts=false\n');
  write('bun.lock', '{"lockfileVersion":1}');
  for (const name of SHADOWED) {
    write(`node_modules/${name}/package.json`, JSON.stringify({ name, version: '99.0.0', main: 'index.js' }));
    write(`node_modules/${name}/index.js`, `${trap(name)}exports.Command = class {};\n`);
  }
  return {
    sprung: () => {
      const names = existsSync(markers)
        ? [...new Bun.Glob('*').scanSync({ cwd: markers, onlyFiles: false })].sort()
        : [];
      rmSync(markers, { recursive: true, force: true });
      return names;
    },
  };
}
