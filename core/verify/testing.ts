import type { Certificate } from '../x509/certificate.ts';
import { alternativeNamesExtension } from '../x509/extensions.ts';
import { type FulcioClaims, serializeFulcioClaims } from '../x509/fulcio.ts';
import type { AlternativeName } from '../x509/names.ts';
import { issue } from '../x509/testing.ts';

// Test only.

export const GITHUB_ACTIONS = 'https://token.actions.githubusercontent.com';

/** A certificate that names this signer. */
export function certificateOf(kind: AlternativeName['kind'], name: string, claims: FulcioClaims): Certificate {
  return issue({ extensions: [alternativeNamesExtension({ kind, value: name }), ...serializeFulcioClaims(claims)] })
    .certificate;
}

/** As Fulcio issues it to a run of a workflow; `signer` is the workflow file that signs, the run's own unless told. */
export function workflowCertificate(
  run: {
    repository?: string;
    file?: string;
    ref?: string;
    signer?: string;
    issuer?: string;
    claims?: FulcioClaims;
  } = {},
): Certificate {
  const { repository = 'acme/app', file = 'release.yml', ref = 'refs/tags/v1.0.0', issuer = GITHUB_ACTIONS } = run;
  const uri = `https://github.com/${repository}`;
  const config = `${uri}/.github/workflows/${file}@${ref}`;
  const name = run.signer ?? config;
  return certificateOf('uri', name, {
    issuer,
    issuerV2: issuer,
    githubWorkflowRepository: repository,
    githubWorkflowRef: ref,
    buildSignerUri: name,
    sourceRepositoryUri: uri,
    sourceRepositoryRef: ref,
    sourceRepositoryIdentifier: '1',
    sourceRepositoryOwnerIdentifier: '2',
    buildConfigUri: config,
    runnerEnvironment: 'github-hosted',
    ...run.claims,
  });
}

/** As Fulcio issued it before it had the newer claims. */
export function oldWorkflowCertificate(repository: string, file: string, ref: string): Certificate {
  return certificateOf('uri', `https://github.com/${repository}/.github/workflows/${file}@${ref}`, {
    issuer: GITHUB_ACTIONS,
    githubWorkflowRepository: repository,
    githubWorkflowRef: ref,
  });
}
