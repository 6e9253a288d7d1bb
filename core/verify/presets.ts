import { InputError } from '../errors.ts';
import type { FulcioClaims } from '../x509/fulcio.ts';
import type { ExpectedIdentity, Identity } from './identity.ts';
import { ANYTHING, exactly, glob, literal, literalIgnoringCase, type Matcher, pattern } from './matcher.ts';

const GITHUB_ACTIONS = 'https://token.actions.githubusercontent.com';
const GITLAB = 'https://gitlab.com';
const GOOGLE = 'https://accounts.google.com';
/** Whom the public-good instance lets vouch for an email address: each has verified that it is the account's. */
const EMAIL_ISSUERS = ['https://github.com/login/oauth', GOOGLE, 'https://login.microsoftonline.com'];

const FORMS = `presets: github:OWNER/REPO[/WORKFLOW.yml][@REF], gitlab:GROUP/PROJECT[//CI-FILE][@REF], email:NAME@DOMAIN, google:NAME@DOMAIN
a REF is a tag, or written in full: refs/tags/v1.0.0, refs/heads/main; it may be a glob, v1.*`;

const PRESETS: Record<string, (rest: string, whole: string) => ExpectedIdentity[]> = {
  github,
  gitlab,
  email: (address, whole) => emailFrom(address, whole, EMAIL_ISSUERS),
  google: (address, whole) => emailFrom(address, whole, [GOOGLE]),
};

/** The identities that a preset stands for, one of which it has to be. POLICY_INVALID, with the forms that there are. */
export function parsePreset(text: string): ExpectedIdentity[] {
  const [, scheme = '', rest = ''] = /^([a-z]+):(.+)$/s.exec(text) ?? [];
  const parse = Object.hasOwn(PRESETS, scheme) ? PRESETS[scheme] : undefined;
  if (parse === undefined) throw invalid(text, 'no preset of that name');
  return parse(rest, text);
}

function invalid(text: string, problem: string): InputError {
  return new InputError('POLICY_INVALID', `${JSON.stringify(text)} is not usable: ${problem}`, { hint: FORMS });
}

const GITHUB_PATH =
  /^(?<owner>[A-Za-z0-9][A-Za-z0-9_-]{0,63})\/(?<repo>[A-Za-z0-9._-]{1,100})(?:\/(?:\.github\/workflows\/)?(?<file>[^/*]+\.ya?ml))?$/;

// GitHub compares owners and repositories without regard to case, files and refs with it. The claims say whose repository's
// run it was, the certificate's name only which workflow file, perhaps another repository's, did the signing in it.
function github(rest: string, whole: string): ExpectedIdentity[] {
  const { path, ref } = splitRef(rest, whole);
  const { owner = '', repo = '', file } = GITHUB_PATH.exec(path)?.groups ?? {};
  if (repo === '' || repo === '.' || repo === '..')
    throw invalid(whole, 'expected OWNER/REPO or OWNER/REPO/WORKFLOW.yml');
  const repository = `https://github.com/${owner}/${repo}`;
  const workflow =
    file === undefined
      ? undefined
      : fileOf(literalIgnoringCase(`${repository}/`), repository, `.github/workflows/${file}`);
  const issuer = exactly(GITHUB_ACTIONS);
  const anyName = glob('https://github.com/**');
  return [
    {
      issuer,
      subjectAlternativeName: anyName,
      claims: [
        { claim: 'sourceRepositoryUri', matcher: pattern(repository, literalIgnoringCase(repository)) },
        ...(workflow === undefined ? [] : [{ claim: 'buildConfigUri', matcher: workflow } as const]),
        ...(ref === undefined ? [] : [{ claim: 'sourceRepositoryRef', matcher: ref } as const]),
      ],
    },
    // Certificates from before March 2023 have these claims instead, and no word on the workflow but their name.
    {
      issuer,
      subjectAlternativeName: workflow ?? anyName,
      claims: [
        { claim: 'sourceRepositoryUri', matcher: undefined },
        {
          claim: 'githubWorkflowRepository',
          matcher: pattern(`${owner}/${repo}`, literalIgnoringCase(`${owner}/${repo}`)),
        },
        ...(ref === undefined ? [] : [{ claim: 'githubWorkflowRef', matcher: ref } as const]),
      ],
    },
  ];
}

const GITLAB_PATH = /^(?<project>[A-Za-z0-9_.-]+(?:\/[A-Za-z0-9_.-]+)+)(?:\/\/(?<file>[^*]+))?$/;

function gitlab(rest: string, whole: string): ExpectedIdentity[] {
  const { path, ref } = splitRef(rest, whole);
  const { project, file } = GITLAB_PATH.exec(path)?.groups ?? {};
  if (project === undefined) throw invalid(whole, 'expected GROUP/PROJECT or GROUP/PROJECT//CI-FILE');
  const repository = `${GITLAB}/${project}`;
  return [
    {
      issuer: exactly(GITLAB),
      subjectAlternativeName: glob(`${GITLAB}/**`),
      claims: [
        { claim: 'sourceRepositoryUri', matcher: exactly(repository) },
        ...(file === undefined
          ? []
          : [{ claim: 'buildConfigUri', matcher: fileOf(literal(`${repository}/`), repository, `/${file}`) } as const]),
        ...(ref === undefined ? [] : [{ claim: 'sourceRepositoryRef', matcher: ref } as const]),
      ],
    },
  ];
}

// The URI of a file at any ref: REPOSITORY/FILE@REF.
function fileOf(prefix: ReturnType<typeof literal>, repository: string, file: string): Matcher {
  return pattern(`${repository}/${file}@...`, [...prefix, ...literal(`${file}@`), ANYTHING]);
}

// A short ref is a tag: where tags are protected, whoever may push a branch could else give it the tag's name.
function splitRef(rest: string, whole: string): { path: string; ref: Matcher | undefined } {
  const at = rest.indexOf('@');
  if (at < 0) return { path: rest, ref: undefined };
  const ref = rest.slice(at + 1);
  if (!/^[!-~]+$/.test(ref) || /[~^:?[\\]|\.\.|^\/|\/$/.test(ref)) throw invalid(whole, 'not a ref after @');
  const full = ref.startsWith('refs/') ? ref : `refs/tags/${ref}`;
  return { path: rest.slice(0, at), ref: full.includes('*') ? glob(full) : exactly(full) };
}

function emailFrom(address: string, whole: string, issuers: readonly string[]): ExpectedIdentity[] {
  if (!/^[^@\s*/]+@[^@\s*/]+$/.test(address)) throw invalid(whole, 'expected one email address');
  return issuers.map((issuer) => ({ issuer: exactly(issuer), subjectAlternativeName: exactly(address) }));
}

/** The preset that would accept this signer, if there is one that says as much as its certificate. */
export function presetOf({ issuer, subjectAlternativeName }: Identity, claims: FulcioClaims): string | undefined {
  if (issuer === GOOGLE) return `google:${subjectAlternativeName}`;
  const { buildConfigUri, sourceRepositoryUri, sourceRepositoryRef } = claims;
  if (issuer !== GITHUB_ACTIONS || sourceRepositoryUri === undefined || sourceRepositoryRef === undefined)
    return undefined;
  const [, repository] = /^https:\/\/github\.com\/([^/]+\/[^/]+)$/.exec(sourceRepositoryUri) ?? [];
  const folder = `${sourceRepositoryUri}/.github/workflows/`;
  if (repository === undefined || buildConfigUri?.startsWith(folder) !== true) return undefined;
  const [file = ''] = buildConfigUri.slice(folder.length).split('@', 1);
  return /^[^/*]+\.ya?ml$/.test(file) ? `github:${repository}/${file}@${sourceRepositoryRef}` : undefined;
}
