import { Command, InvalidArgumentError, Option } from 'commander';
import { HallmarkError, InputError, UsageError, VerificationError } from '../core/errors.ts';
import { MAX_POLICY_BYTES, MAX_YAML_BYTES } from '../core/limits.ts';
import { type ObjectFormat, parseSignedObject, signatureKind } from '../gitsign/object.ts';
import { makerOf } from '../gitsign/person.ts';
import { type GitPolicy, hasPaths, hasRefs, requireGitPolicy } from '../gitsign/policy.ts';
import { isOurArmor, parseArmor, parseCmsSignature } from '../gitsign/signature.ts';
import { isFolder, isRegularFile } from '../gitsign/snapshot.ts';
import { type Cli, outputOption } from './cli.ts';
import {
  commitOf,
  newCommits,
  readObjects,
  repositoryFormat,
  requireHistory,
  type StoredObject,
  selectObjects,
  type Wanted,
} from './git-objects.ts';
import { changedPaths } from './git-paths.ts';
import { parseGitPolicyText, policyOfIdentities, readGitPolicy, userGitPolicy } from './git-policy.ts';
import { git, tryGit } from './git-process.ts';
import { resolvePlace } from './git-refs.ts';
import { readGitSettings } from './git-settings.ts';
import { ObjectStore } from './git-store.ts';
import { FOREIGN, type Outcome, reportOutcomes } from './git-verify-report.ts';
import { lookUp, verifyMaybeOnline } from './git-verifying.ts';
import { readStandardInput } from './standard-input.ts';
import { type ResolvedTrust, resolveTrust, type TrustFlags, trustOptions } from './trust-store.ts';
import { type PolicyFlags, signerOptions, statedPolicy } from './verify-policy.ts';

/** Where a repository keeps its policy. */
const POLICY_FOLDER = '.hallmark';
const POLICY_FILE = 'policy.yaml';
const POLICY_PATH = `${POLICY_FOLDER}/${POLICY_FILE}`;
const NO_OBJECT = /^0+$/;

interface Flags extends PolicyFlags, Omit<TrustFlags, 'output'> {
  readonly anySigner?: true;
  readonly ref?: string;
  readonly allow?: readonly (typeof FOREIGN)[number][];
  readonly online?: true;
  readonly preReceive?: true;
  readonly output: 'text' | 'json';
}

/** What is to be verified together, under one policy. */
interface Batch {
  readonly wanted: readonly Wanted[];
  readonly policy: GitPolicy | undefined;
}

/** `hallmark git verify`: commits and tags, in one process. */
export function gitVerifyCommand(cli: Cli): Command {
  const command = new Command('verify')
    .description('verify the signatures of commits and tags, offline, and that whoever signed may')
    .argument('[rev...]', 'revisions and ranges, as main..HEAD or v1.0 (default HEAD)')
    .option(
      '--ref <ref>',
      'branch or tag that the policy is to hold for (default: the one that is named or checked out)',
    )
    .option('--any-signer', 'accept whoever signed')
    .addOption(
      new Option('--allow <kind>', 'accept what has no signature of this kind to verify; repeatable')
        .choices(FOREIGN)
        .argParser(parseAllowed),
    )
    .option('--online', 'look up log entries that signatures do not hold')
    .option('--pre-receive', 'be the pre-receive hook of a repository: what to verify is on standard input')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Of a range the policy is that of the commit before it, ${POLICY_PATH} there: what is under test cannot change it. Another one is
given with --policy or with an identity; failing that, the one of your git configuration counts (hallmark git config).
The format: docs/git.md.

Examples:
  hallmark git verify refs/remotes/origin/main..HEAD
  hallmark git verify v1.0 --from github:OWNER/REPO
  hallmark git verify HEAD --certificate-identity you@example.com --certificate-oidc-issuer https://github.com/login/oauth
  hallmark git verify main --any-signer --allow unsigned --output json

Exit codes: 0 all are verified or allowed, 10 one is not signed with an identity, 12 one is rejected or not proven,
2 wrong command line, 3 unusable input, 7 no trust material.
`,
    )
    .action((revisions: string[], flags: Flags) => verifyObjects(cli, revisions, flags));
  signerOptions(command);
  return trustOptions(command);
}

function parseAllowed(value: string, previous: readonly string[] = []): string[] {
  if (FOREIGN.some((kind) => kind === value)) return [...previous, value];
  throw new InvalidArgumentError(`Allowed are ${FOREIGN.join(', ')}.`);
}

async function verifyObjects(cli: Cli, revisions: readonly string[], flags: Flags): Promise<void> {
  for (const flag of ['key', 'registryKeys', 'lock'] as const) {
    if (flags[flag] !== undefined)
      throw new UsageError(`--${flag} is for files: git signatures are made by identities`);
  }
  const format = repositoryFormat();
  const store = new ObjectStore(format);
  try {
    const batches = flags.preReceive
      ? await pushedBatches(cli, store, revisions, flags)
      : [await namedBatch(cli, store, revisions, flags)];
    const trust = resolveTrust(cli, flags);
    for (const warning of trust.warnings) cli.warn(warning);
    const outcomes: Outcome[] = [];
    for (const batch of batches) outcomes.push(...(await verifyBatch({ cli, store, trust, format, flags }, batch)));
    reportOutcomes(cli, outcomes, flags);
  } finally {
    await store.close();
  }
}

/** What the command line says of who may have signed; undefined if nothing. */
async function givenPolicy(flags: Flags): Promise<GitPolicy | 'anybody' | undefined> {
  const { policy, ...others } = flags;
  const stated = await statedPolicy('HEAD', others);
  if ([stated, policy, flags.anySigner].filter((each) => each !== undefined).length > 1) {
    throw new UsageError('--policy, --any-signer and an identity exclude each other', {
      hint: 'say in one way who may have signed',
    });
  }
  if (flags.anySigner) return 'anybody';
  if (policy !== undefined) return readGitPolicy(policy);
  return stated !== undefined && 'identities' in stated ? policyOfIdentities('the command line', stated) : undefined;
}

async function namedBatch(cli: Cli, store: ObjectStore, revisions: readonly string[], flags: Flags): Promise<Batch> {
  const selection = selectObjects(revisions.length > 0 ? revisions : ['HEAD']);
  const given = await givenPolicy(flags);
  const policy = given ?? (await policyAtBases(store, selection.bases)) ?? userGitPolicy(readGitSettings(cli));
  if (policy === undefined) {
    throw new UsageError('say who may have signed: there is no policy', {
      hint: `${selection.bases === undefined ? '' : `commit one as ${POLICY_PATH} (docs/git.md), or `}give --policy FILE or --from PRESET, or --any-signer to accept everybody`,
    });
  }
  const place = flags.ref === undefined ? undefined : resolvePlace(flags.ref);
  return {
    wanted: place === undefined ? selection.wanted : selection.wanted.map((each) => ({ ...each, place })),
    policy: policy === 'anybody' ? undefined : policy,
  };
}

// Several ranges have one policy if all begin where it is the same.
async function policyAtBases(store: ObjectStore, bases: readonly string[] | undefined): Promise<GitPolicy | undefined> {
  const found = new Map<string | undefined, string>();
  for (const base of bases ?? []) found.set(await policyBlob(store, base), base);
  const [first, ...others] = found;
  if (first === undefined || first[0] === undefined) return undefined;
  if (others.length > 0) {
    throw new UsageError('the ranges begin at commits with different policies', { hint: 'verify them one by one' });
  }
  return readPolicyAt(store, first[1]);
}

// From commit to file each object is held to its ID.
async function policyBlob(store: ObjectStore, commit: string): Promise<string | undefined> {
  const { tree } = await store.links(commit);
  const folder = (await store.tree(tree)).get(POLICY_FOLDER);
  if (folder === undefined || !isFolder(folder)) return undefined;
  const file = (await store.tree(folder.id)).get(POLICY_FILE);
  if (file === undefined) return undefined;
  if (isRegularFile(file)) return file.id;
  throw new InputError('POLICY_INVALID', `${commit.slice(0, 12)}:${POLICY_PATH} is no file`);
}

async function readPolicyAt(store: ObjectStore, commit: string): Promise<GitPolicy | undefined> {
  const blob = await policyBlob(store, commit);
  if (blob === undefined) return undefined;
  const name = `${commit.slice(0, 12)}:${POLICY_PATH}`;
  const bytes = await store.read(blob, 'blob');
  if (bytes.length > MAX_YAML_BYTES) {
    throw new InputError('INPUT_TOO_LARGE', `the policy ${name} has more than ${MAX_YAML_BYTES} bytes`);
  }
  return parseGitPolicyText(name, bytes);
}

/**
 * What a push brings (githooks, pre-receive): each ref's new commits, under the policy of its old value. The environment, in
 * which git names the quarantine that the objects lie in, goes on to its children as it is.
 */
async function pushedBatches(
  cli: Cli,
  store: ObjectStore,
  revisions: readonly string[],
  flags: Flags,
): Promise<Batch[]> {
  if (revisions.length > 0 || flags.ref !== undefined) {
    throw new UsageError('--pre-receive takes what to verify from standard input, and nothing beside');
  }
  const given = await givenPolicy(flags);
  const settings = readGitSettings(cli);
  const updates = Buffer.from(readStandardInput(MAX_POLICY_BYTES))
    .toString()
    .split('\n')
    .filter((line) => line !== '');
  const batches: Batch[] = [];
  for (const line of updates) {
    const [, before = '', after = '', ref = ''] = /^([0-9a-f]{40,64}) ([0-9a-f]{40,64}) (refs\/\S+)$/.exec(line) ?? [];
    if (ref === '') throw new UsageError(`not a line of a pre-receive hook: ${JSON.stringify(line.slice(0, 200))}`);
    const old = NO_OBJECT.test(before) ? undefined : before;
    // Nobody signs that a ref goes away or back: a policy that is taken from refs would go back with it.
    if (given === undefined && old !== undefined) requireDescendant(ref, old, after);
    if (NO_OBJECT.test(after)) continue;
    const policy =
      given ?? (old === undefined ? undefined : await readPolicyAt(store, commitOf(old).id)) ?? userGitPolicy(settings);
    if (policy === undefined) {
      throw new UsageError(`${ref}: there is no policy to hold the push to`, {
        hint: `a first push needs --policy FILE in the hook; later ones are held to ${POLICY_PATH} of what is there already`,
      });
    }
    const commits = newCommits(after, old).map((each) => ({ ...each, named: each.id === after ? ref : undefined }));
    // What a tag names is looked at even if the commits are there already.
    const isTag = ref.startsWith('refs/tags/') || git(['cat-file', '-t', after]).trim() === 'tag';
    const tip = isTag && commits.every(({ id }) => id !== after) ? [{ id: after, named: ref }] : [];
    const wanted = [...tip, ...commits].map((each) => ({ ...each, place: ref }));
    batches.push({ wanted, policy: policy === 'anybody' ? undefined : policy });
  }
  return batches;
}

// Of a tag that is moved too: the next push to it would be held to the policy of where it is now.
function requireDescendant(ref: string, before: string, after: string): void {
  const commits = [before, after].map((id) => `${id}^{commit}`);
  if (!NO_OBJECT.test(after) && tryGit(['merge-base', '--is-ancestor', ...commits]).code === 0) return;
  throw new VerificationError(
    'POLICY_MISMATCH',
    'policy',
    `${ref} is deleted or leaves its history, which the policy in that history cannot allow`,
    { hint: `push commits on top; to allow it have the hook name a policy: --policy FILE` },
  );
}

/** What the verification of every object needs. */
interface Context {
  readonly cli: Cli;
  readonly store: ObjectStore;
  readonly trust: ResolvedTrust;
  readonly format: ObjectFormat;
  readonly flags: Flags;
}

async function verifyBatch(context: Context, { wanted, policy }: Batch): Promise<Outcome[]> {
  if (policy !== undefined && hasRefs(policy) && wanted.some(({ place }) => place === undefined)) {
    throw new UsageError('the policy has rules for branches or tags, and none is named', {
      hint: '--ref refs/heads/main',
    });
  }
  const ids = wanted.map(({ id }) => id);
  const outcomes: Outcome[] = [];
  for await (const object of readObjects(ids, context.format)) {
    const { id, kind } = object;
    const each = wanted[outcomes.length] as Wanted;
    if (kind === undefined) {
      throw new UsageError(`${id} is neither a commit nor an annotated tag`, {
        hint: `git cat-file -t ${id} says what it is`,
      });
    }
    requireHistory(each, object.body);
    const base = { id, kind, ref: each.place };
    try {
      outcomes.push({ ...base, ...(await verifyObject(context, object, each, policy)) });
    } catch (error) {
      if (!(error instanceof HallmarkError) || (error.kind !== 'verification' && error.kind !== 'input')) throw error;
      outcomes.push({ ...base, status: error.code === 'LOG_ENTRY_MISSING' ? 'unproven' : 'rejected', error });
    }
  }
  return outcomes;
}

async function verifyObject(
  { cli, store, trust, format, flags }: Context,
  { kind, body }: StoredObject,
  { named, place }: Wanted,
  policy: GitPolicy | undefined,
): Promise<Pick<Outcome, 'status' | 'verified' | 'rules'>> {
  if (kind === undefined) throw new Error('internal: an object without signature passed');
  const { payload, signature: armor } = parseSignedObject(kind, body, format);
  if (armor === undefined) return { status: 'unsigned' };
  if (!isOurArmor(armor)) return { status: signatureKind(armor) ?? 'unsigned' };
  const signed = { payload, armor, signature: parseCmsSignature(parseArmor(armor).der) };
  const look = flags.online ? () => lookUp(cli, trust, signed) : undefined;
  const verified = await verifyMaybeOnline(signed, trust, cli.now(), look);
  if (kind === 'tag') requireTagName(payload, named);
  // Only now: what nobody signed may be made to be slow to compare.
  const paths = kind === 'commit' && policy && hasPaths(policy) ? await changedPaths(store, body) : undefined;
  const rules = policy && requireGitPolicy(verified, policy, { ref: place, paths, maker: makerOf(payload) });
  // A tag without an object of its own: the commit is signed, that it has this name is not.
  if (kind === 'commit' && named?.startsWith('refs/tags/')) return { status: 'unsigned' };
  return { status: 'verified', verified, ...(rules !== undefined && { rules }) };
}

// A tag object says its own name: under another one it would pass for a release that it is not.
function requireTagName(payload: Uint8Array, ref: string | undefined): void {
  if (ref?.startsWith('refs/tags/') !== true) return;
  const [, name] = /^tag (.+)$/m.exec(Buffer.from(payload).toString('utf8').split('\n\n', 1)[0] ?? '') ?? [];
  if (ref === `refs/tags/${name}`) return;
  throw new VerificationError(
    'SUBJECT_MISMATCH',
    'signature',
    `a signed tag of another name, ${JSON.stringify(name ?? '')}, under ${ref}`,
  );
}
