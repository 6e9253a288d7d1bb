// Every route of `hallmark serve`, read from the tables in the source: a new one is found here before anybody thinks of it.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dir, '../..');

/** How the parts write their tables; the group is the route's name, as metrics tell it. */
const TABLES = [
  /\bname: '(\/[^']*)'/g, // tlog: Route
  /^ {4}'(\/[^']*)': \{/gm, // ca
  /\bcase '(\/[^']*)':/g,
  /\bpathname === '(\/[^']*)'/g,
  /\? pathname : '(\/[^']*)'/g,
];
/** ct.ts names its routes of one prefix by their last part. */
const CT = /^ {4}get\('([a-z-]+)'/gm;

interface Routes {
  /** Of `hallmark serve`. The development issuer's are below its path. */
  readonly stack: readonly string[];
  /** Of `hallmark serve witness`. */
  readonly witness: readonly string[];
}

/** Throws if a file that answers requests has no table that is understood. */
export function routesOfSource(): Routes {
  const stack = new Set<string>();
  const witness = new Set<string>();
  for (const file of sources()) {
    const text = readFileSync(join(root, file), 'utf8');
    const names = [
      ...TABLES.flatMap((table) => [...text.matchAll(table)].map(([, name = '']) => name)),
      ...(file === 'tlog/ct.ts' ? [...text.matchAll(CT)].map(([, name]) => `/ct/v1/${name}`) : []),
    ];
    const answers =
      /\bmatched\?\.\(|createDispatcher\(\s*(?:routes|\[)|: Route\[\]/.test(text) && file !== 'tlog/http.ts';
    if (answers && names.length === 0) throw new Error(`${file} answers requests, but no route was found in it`);
    if (!answers) continue;
    const prefix = file === 'ca/dev-issuer.ts' ? '/oidc' : '';
    for (const name of names) (file === 'tlog/witness.ts' ? witness : stack).add(`${prefix}${name}`);
  }
  return { stack: [...stack].sort(), witness: [...witness].sort() };
}

function sources(): string[] {
  const inFolder = (folder: string): string[] =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`);
  return ['core/trust/tuf/front-end.ts', ...inFolder('ca'), ...inFolder('tlog')].filter(
    (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
  );
}
