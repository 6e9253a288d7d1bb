import type { Json } from '../core/bytes/json.ts';
import { IdentityError } from '../core/errors.ts';
import type { FulcioClaims } from '../core/x509/fulcio.ts';

/**
 * How the tokens of a CI service become a certificate. A value is the name of a claim, or a template of text and
 * `{claim}`; `{server}` is the service's URL. A claim of `required` must be there; a value whose claim is absent is left out.
 */
interface CiRules {
  readonly required: readonly string[];
  readonly subjectAlternativeName: string;
  readonly claims: FulcioClaims;
  /** Claims computed from others, for templates to use. */
  readonly derive?: (claims: TokenClaims) => Record<string, string>;
}

type TokenClaims = { readonly [name: string]: Json };

type CiType = 'github-workflow' | 'gitlab-pipeline' | 'buildkite-job';

/** The mappings of the public-good instance (Fulcio's ci-issuer-metadata). */
const CI_RULES: Record<CiType, CiRules> = {
  'github-workflow': {
    required: [
      ...['job_workflow_ref', 'sha', 'event_name', 'repository', 'workflow', 'ref', 'job_workflow_sha'],
      ...['runner_environment', 'repository_id', 'repository_owner', 'repository_owner_id', 'repository_visibility'],
      ...['workflow_ref', 'workflow_sha', 'run_id', 'run_attempt'],
    ],
    subjectAlternativeName: '{server}/{job_workflow_ref}',
    claims: {
      githubWorkflowTrigger: 'event_name',
      githubWorkflowSha: 'sha',
      githubWorkflowName: 'workflow',
      githubWorkflowRepository: 'repository',
      githubWorkflowRef: 'ref',
      buildSignerUri: '{server}/{job_workflow_ref}',
      buildSignerDigest: 'job_workflow_sha',
      runnerEnvironment: 'runner_environment',
      sourceRepositoryUri: '{server}/{repository}',
      sourceRepositoryDigest: 'sha',
      sourceRepositoryRef: 'ref',
      sourceRepositoryIdentifier: 'repository_id',
      sourceRepositoryOwnerUri: '{server}/{repository_owner}',
      sourceRepositoryOwnerIdentifier: 'repository_owner_id',
      buildConfigUri: '{server}/{workflow_ref}',
      buildConfigDigest: 'workflow_sha',
      buildTrigger: 'event_name',
      runInvocationUri: '{server}/{repository}/actions/runs/{run_id}/attempts/{run_attempt}',
      sourceRepositoryVisibilityAtSigning: 'repository_visibility',
      deploymentEnvironment: 'environment',
    },
  },
  'gitlab-pipeline': {
    required: [
      ...['project_path', 'pipeline_source', 'pipeline_id', 'ci_config_ref_uri', 'job_id', 'ref', 'ref_type', 'sha'],
      ...['namespace_path', 'namespace_id', 'project_id', 'runner_environment', 'runner_id'],
    ],
    subjectAlternativeName: 'https://{ci_config_ref_uri}',
    derive: (claims) => ({ full_ref: gitlabRef(claims) }),
    claims: {
      buildSignerUri: 'https://{ci_config_ref_uri}',
      buildSignerDigest: 'ci_config_sha',
      runnerEnvironment: 'runner_environment',
      sourceRepositoryUri: '{server}/{project_path}',
      sourceRepositoryDigest: 'sha',
      sourceRepositoryRef: 'full_ref',
      sourceRepositoryIdentifier: 'project_id',
      sourceRepositoryOwnerUri: '{server}/{namespace_path}',
      sourceRepositoryOwnerIdentifier: 'namespace_id',
      buildConfigUri: 'https://{ci_config_ref_uri}',
      buildConfigDigest: 'ci_config_sha',
      buildTrigger: 'pipeline_source',
      runInvocationUri: '{server}/{project_path}/-/jobs/{job_id}',
      sourceRepositoryVisibilityAtSigning: 'project_visibility',
      deploymentEnvironment: 'environment',
    },
  },
  'buildkite-job': {
    required: ['organization_slug', 'pipeline_slug'],
    subjectAlternativeName: '{server}/{organization_slug}/{pipeline_slug}',
    claims: {
      runnerEnvironment: 'runner_environment',
      sourceRepositoryDigest: 'build_commit',
      buildTrigger: 'build_source',
      runInvocationUri: '{server}/{organization_slug}/{pipeline_slug}/builds/{build_number}#{job_id}',
    },
  },
};

/** The URI and the claims that a CI job's token stands for. IDENTITY_TOKEN_INVALID names what is missing. */
export function ciIdentity(type: CiType, serverUrl: string, token: TokenClaims): { uri: string; claims: FulcioClaims } {
  const rules = CI_RULES[type];
  for (const name of rules.required) {
    if (claimText(token, name) === undefined)
      throw new IdentityError('IDENTITY_TOKEN_INVALID', `claim ${name}, which a ${type} has, is missing`);
  }
  const values = { ...token, ...rules.derive?.(token) };
  const uri = render(rules.subjectAlternativeName, serverUrl, values) as string;
  const claims = Object.entries(rules.claims).flatMap(([name, template]) => {
    const value = render(template, serverUrl, values);
    return value === undefined ? [] : [[name, value]];
  });
  return { uri, claims: Object.fromEntries(claims) as FulcioClaims };
}

/** A template with braces makes a URI: values are escaped as a path. Undefined if one of its claims is absent. */
function render(template: string, serverUrl: string, token: TokenClaims): string | undefined {
  if (!template.includes('{')) return claimText(token, template);
  let complete = true;
  const uri = template.replace('{server}', serverUrl).replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = claimText(token, name);
    complete &&= value !== undefined;
    return encodeURI(value ?? '').replace(/[?#]/g, encodeURIComponent);
  });
  return complete ? uri : undefined;
}

/** A claim as text: services write numbers with and without quotes. '' is absent, a lone surrogate refused. */
function claimText(token: TokenClaims, name: string): string | undefined {
  const value = Object.hasOwn(token, name) ? token[name] : undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value !== 0) return String(value);
  if (typeof value !== 'string' || value === '') return undefined;
  if (!value.isWellFormed()) throw new IdentityError('IDENTITY_TOKEN_INVALID', `claim ${name} is not Unicode text`);
  return value;
}

function gitlabRef(claims: TokenClaims): string {
  switch (claims['ref_type']) {
    case 'branch':
      return `refs/heads/${claims['ref']}`;
    case 'tag':
      return `refs/tags/${claims['ref']}`;
    default:
      throw new IdentityError('IDENTITY_TOKEN_INVALID', 'claim ref_type is neither branch nor tag');
  }
}
