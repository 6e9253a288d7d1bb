// Signs or verifies with the packages of sigstore-js, unmodified. Reads one JSON object on standard input:
//   {command: "sign", url, token, rekorVersion, kind: "message"|"dsse", data, type?}  -> bundle JSON on standard output
//   {command: "verify", verifier: "@sigstore/verify"|"verify413", trustedRoot, bundle, data?, identity, issuer}
// Every answer of the services is recorded: the last line on standard error lists method, path and status.
const http = require('node:http');
const fs = require('node:fs');

const input = JSON.parse(fs.readFileSync(0, 'utf8'));
const seen = [];
const emit = http.Agent.prototype.addRequest;
http.Agent.prototype.addRequest = function (req, ...rest) {
  req.once('response', (res) => seen.push([req.method, req.path, res.statusCode]));
  return emit.call(this, req, ...rest);
};

async function sign() {
  const {
    DSSEBundleBuilder,
    FulcioSigner,
    MessageSignatureBundleBuilder,
    RekorWitness,
    TSAWitness,
  } = require('@sigstore/sign');
  const { bundleToJSON } = require('@sigstore/bundle');
  const signer = new FulcioSigner({
    fulcioBaseURL: input.url,
    identityProvider: { getToken: async () => input.token },
  });
  const witnesses = [
    new RekorWitness({ rekorBaseURL: input.url, majorApiVersion: input.rekorVersion, fetchOnConflict: true }),
    new TSAWitness({ tsaBaseURL: input.url }),
  ];
  const Builder = input.kind === 'dsse' ? DSSEBundleBuilder : MessageSignatureBundleBuilder;
  const options = input.kind === 'dsse' ? { signer, witnesses, certificateChain: false } : { signer, witnesses };
  const bundle = await new Builder(options).create({ data: Buffer.from(input.data), type: input.type });
  process.stdout.write(JSON.stringify(bundleToJSON(bundle)));
}

function verify() {
  const { bundleFromJSON } = require(input.verifier === 'verify413' ? 'bundle5' : '@sigstore/bundle');
  const { toSignedEntity, toTrustMaterial, Verifier } = require(input.verifier);
  const { TrustedRoot } = require('@sigstore/protobuf-specs');
  const bundle = bundleFromJSON(input.bundle);
  const entity = toSignedEntity(bundle, input.data === undefined ? undefined : Buffer.from(input.data));
  const verifier = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(input.trustedRoot)), {
    tlogThreshold: 1,
    ctlogThreshold: 1,
    timestampThreshold: 1,
  });
  verifier.verify(entity, { subjectAlternativeName: input.identity, extensions: { issuer: input.issuer } });
  process.stdout.write('verified');
}

Promise.resolve(input.command === 'sign' ? sign() : verify()).then(
  () => process.stderr.write(`${JSON.stringify(seen)}\n`),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
